# Sourced behind setup.sh by scripts that boot a stock kernel of Debian: an emulated computer with a program of ours as its init.
# On its console the program begins with "seen: " what the script is to see.
need gcc cpio xz

# The installed QEMU, or one that is unpacked here with what it needs.
if ! command -v qemu-system-x86_64 > /dev/null; then
	mkdir qemu && cd qemu
	list=$(apt-get -s install --no-install-recommends qemu-system-x86 | awk '$1 == "Inst" { print $2 }')
	apt-get -qq download $list || cannot "QEMU cannot be had"
	for deb in *.deb; do dpkg-deb -x "$deb" .; done
	cd ..
	export PATH="$dir/qemu/usr/bin:$PATH" LD_LIBRARY_PATH="$dir/qemu/usr/lib/x86_64-linux-gnu:$dir/qemu/lib/x86_64-linux-gnu"
	data="-L $dir/qemu/usr/share/qemu -L $dir/qemu/usr/share/seabios"
fi

# make_init < SOURCE: compiles the program to ./init.
make_init() {
	cat > init.c
	gcc -O1 -static -I "$common" -o init init.c || cannot "init.c does not compile"
}

# emulate RELEASE INITRAMFS OPTION...: an emulated computer. Its CPU is $cpu, if that matters, and its kernel gets $append.
emulate() {
	release=$1 initramfs=$2
	shift 2
	timeout 300 qemu-system-x86_64 ${data:-} -accel tcg -cpu "${cpu:-max}" -m 512 -nodefaults -display none -no-reboot "$@" \
		-kernel "root/boot/vmlinuz-$release" -initrd "$initramfs" -append "console=ttyS0 quiet panic=-1 ${append:-}"
}

# boot RELEASE INITRAMFS: prints what the program says.
boot() {
	emulate "$1" "$2" -serial stdio < /dev/null > console || true
	tr -d '\r' < console | sed -n 's/^seen: //p'
}

# kvm_initramfs RELEASE: ram.cpio of ./init and the modules of KVM, which kvm.h loads.
kvm_initramfs() {
	rm -rf ram && mkdir -p ram/dev ram/proc && cp init ram/init
	for name in irqbypass ccp kvm kvm-amd; do
		module=$(find root -path "*/$1/*" -name "$name.ko*")
		case $module in *.xz) xz -dc "$module" > "ram/$name.ko" ;; *) cp "$module" ram/ ;; esac
	done
	(cd ram && find . | cpio -o -H newc --quiet) > ram.cpio
}

# boot_kvm RELEASE: both.
boot_kvm() {
	kvm_initramfs "$1"
	boot "$1" ram.cpio
}

# The emulated computer's version, for the verdict.
emulator() { qemu-system-x86_64 --version | head -n 1; }
