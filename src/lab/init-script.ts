/** The first program in the lab: a shell script for busybox. */
import { noteMark } from './console-watch.ts';

/** Paths inside the lab. */
export const guestPaths = {
  node: 'hvipi/node',
  agent: 'hvipi/agent.mjs',
  nodeModules: 'hvipi/node_modules',
  modules: 'hvipi/modules',
} as const;

/**
 * The text of /init. It loads the modules, starts the agent (or a shell), and ends the computer when that ends. What
 * fails is said in one marked line, which the host side turns into its error.
 *
 * @param moduleFiles in load order.
 */
export function initScript(moduleFiles: readonly string[]): string {
  return `#!/bin/sh
export PATH=/bin HOME=/ UV_THREADPOOL_SIZE=16
say() { echo "${noteMark}$*" > /dev/console; }
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /tmp
amd_only() { [ "$1" = kvm-amd.ko ] && grep -q GenuineIntel /proc/cpuinfo; }
intel_only() { [ "$1" = kvm-intel.ko ] && ! grep -q GenuineIntel /proc/cpuinfo; }
error=
for module in ${moduleFiles.join(' ')}; do
  amd_only $module && continue
  intel_only $module && continue
  # What is wrong with virtio shows soon enough; often it is built in and the module superfluous.
  text=$(insmod /${guestPaths.modules}/$module 2>&1) && continue
  case $module in virtio*) continue ;; esac
  why=$(dmesg | grep -F "$(echo \${module%.ko} | tr - _): " | tail -n 1 | sed 's/^\\[[^]]*\\] *//')
  error=\${error:-"$module: \${text##*: }\${why:+ ($why)}"}
done
[ -e /dev/kvm ] || say "no /dev/kvm: \${error:-the kernel has no KVM for this CPU, and no module was given}"
echo 8 > /proc/sys/kernel/hung_task_timeout_secs 2> /dev/null
echo 8 > /proc/sys/kernel/printk
ulimit -n 65536
if grep -q hvipi.shell /proc/cmdline; then
  setsid cttyhack sh
elif [ -e /dev/kvm ]; then
  # One CPU: V8's background threads would only take turns with the vCPUs.
  /${guestPaths.node} --single-threaded --max-semi-space-size=16 /${guestPaths.agent}
  say "the agent ended with status $?"
fi
reboot -f
`;
}
