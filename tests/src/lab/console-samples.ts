/** Console output as Linux 6.1 and 6.12 print it, shortened. */

export const ordinaryLines = [
  '[    0.000000] Linux version 6.12.117+deb12-amd64 (builder@localhost) #1 SMP PREEMPT_DYNAMIC',
  '[    0.000000] BIOS-e820: [mem 0x0000000000000000-0x000000000009fbff] usable',
  '[    0.012345] Spectre V2 : WARNING: Unprivileged eBPF is enabled with eIBRS on, data leaks possible',
  '[    0.020000] RETBleed: WARNING: Spectre v2 mitigation leaves CPU vulnerable to RETBleed attacks, data leaks possible!',
  "[    0.866170] acpi PNP0A03:00: fail to add MMCONFIG information, can't access extended configuration space",
  '[    0.900000] ACPI BIOS Error (bug): Could not resolve symbol [\\_SB.PCI0], AE_NOT_FOUND (20240827/psargs-332)',
  "[    0.910000] [Firmware Bug]: TSC doesn't count with P0 frequency!",
  '[    1.000000] NMI watchdog: Perf NMI watchdog permanently disabled',
  '[    1.000001] NMI watchdog: Enabled. Permanently consumes one hw-PMU counter.',
  '[    1.100000] watchdog: Delayed init of the lockup detector failed: -19',
  '[    1.200000] rcu: Hierarchical SRCU implementation.',
  '[    1.200001] rcu: INFO: rcu_tasks grace period is slow',
  '[    1.642633] amd_pstate: the _CPC object is not present in SBIOS or ACPI disabled',
  "[    1.700000] clocksource: timekeeping watchdog on CPU0: Marking clocksource 'tsc' as unstable",
  '[    2.000000] kvm: loading out-of-tree module taints kernel.',
  '[    2.100000] kvm_amd: Nested Virtualization enabled',
  '[    2.200000] kvm [152]: vcpu0, guest rIP: 0x1000 unhandled wrmsr: 0x40000090 data 0xfe',
  '[    2.300000] node[7]: segfault at 0 ip 00007f1c8e8d0000 sp 00007ffe94f61bb8 error 4 in libc.so.6[7f1c8e800000+200000]',
  '[    2.300001] traps: node[7] general protection fault ip:7f1c8e8d0000 sp:7ffe94f61bb8 error:0 in node[400000+5000000]',
  '[    2.300002] traps: node[7] trap invalid opcode ip:7f1c8e8d0000 sp:7ffe94f61bb8 error:0',
  '[    2.400000] random: crng init done',
  'hvipi-lab: the agent ended with status 1',
  '    throw new Error("WARNING: CPU: 0")',
];

export const headlines: [string, string][] = [
  ['oops', '[    5.000000] BUG: unable to handle page fault for address: ffffc900006a3cb8'],
  ['oops', '[    5.000000] BUG: kernel NULL pointer dereference, address: 0000000000000008'],
  ['oops', '[    5.000000] kernel BUG at arch/x86/kvm/hyperv.c:2107!'],
  [
    'oops',
    '[    5.000000] Oops: general protection fault, probably for non-canonical address 0xdead000000000000: 0000 [#1] PREEMPT SMP NOPTI',
  ],
  [
    'oops',
    '[    5.000000] general protection fault, probably for non-canonical address 0xdead000000000000: 0000 [#1] PREEMPT SMP NOPTI',
  ],
  ['oops', '[    5.000000] Oops: Oops: 0002 [#1] PREEMPT SMP NOPTI'],
  ['oops', '[    5.000000] Oops: 0000 [#1] PREEMPT SMP NOPTI'],
  ['oops', '[    5.000000] invalid opcode: 0000 [#1] PREEMPT SMP NOPTI'],
  ['oops', '[    5.000000] divide error: 0000 [#1] SMP'],
  ['oops', '[    5.000000] stack segment: 0000 [#1] SMP'],
  ['oops', '[    5.000000] int3: 0000 [#1] PREEMPT SMP NOPTI'],
  ['oops', '[    5.000000] traps: PANIC: double fault, error_code: 0x0'],
  ['oops', '[    5.000000] BUG: KASAN: slab-out-of-bounds in kvm_hv_hypercall+0x7a1/0xe30 [kvm]'],
  ['oops', '[    5.000000] Kernel panic - not syncing: Fatal exception'],
  ['oops', '[    5.000000][  T152] BUG: Bad page state in process node  pfn:04b2c'],
  [
    'warning',
    '[    5.000000] WARNING: CPU: 0 PID: 152 at arch/x86/kvm/x86.c:11322 kvm_arch_vcpu_ioctl_run+0x1a/0x20 [kvm]',
  ],
  ['warning', '[    5.000000] WARNING: possible circular locking dependency detected'],
  ['warning', '[    5.000000] WARNING: suspicious RCU usage'],
  ['warning', '[    5.000000] UBSAN: array-index-out-of-bounds in arch/x86/kvm/hyperv.c:1947:14'],
  ['warning', '[    5.000000] BUG: sleeping function called from invalid context at kernel/locking/mutex.c:585'],
  ['warning', '[    5.000000] unchecked MSR access error: WRMSR to 0x40000090 (tried to write 0x00000000000000fe)'],
  ['hang', '[   25.000000] INFO: task node:152 blocked for more than 8 seconds.'],
  ['hang', '[   25.000000] rcu: INFO: rcu_preempt self-detected stall on CPU'],
  ['hang', '[   25.000000] rcu: INFO: rcu_sched detected stalls on CPUs/tasks:'],
  ['hang', '[   25.000000] rcu: INFO: rcu_preempt detected expedited stalls on CPUs/tasks: { 0-.... }'],
  ['hang', '[   25.000000] watchdog: BUG: soft lockup - CPU#0 stuck for 19s! [node:152]'],
  ['hang', '[   25.000000] NMI watchdog: Watchdog detected hard LOCKUP on cpu 0'],
];

export const nullPointer = `[    5.123456] BUG: kernel NULL pointer dereference, address: 0000000000000008
[    5.123457] #PF: supervisor write access in kernel mode
[    5.123458] Oops: Oops: 0002 [#1] PREEMPT SMP NOPTI
[    5.123459] CPU: 0 UID: 0 PID: 163 Comm: node Tainted: G            E      6.12.117+deb12-amd64 #1
[    5.123460] RIP: 0010:kvm_hv_send_ipi.isra.0+0xab/0x1d0 [kvm]
[    5.123461] Code: 48 b8 00 00 00 00 00 00 ad de c7 00 01 00 00 00 eb a6
[    5.123462] RSP: 0018:ffa000000069b9b8 EFLAGS: 00000246
[    5.123463] Call Trace:
[    5.123464]  <TASK>
[    5.123465]  ? __die_body.cold+0x19/0x27
[    5.123466]  kvm_hv_hypercall+0x70a/0xe30 [kvm]
[    5.123467]  kvm_emulate_hypercall+0x58/0x320 [kvm]
[    5.123468]  svm_handle_exit+0x60/0x270 [kvm_amd]
[    5.123469]  kvm_arch_vcpu_ioctl_run+0x89/0xe0 [kvm]
[    5.123470]  kvm_vcpu_ioctl+0x11d/0x310 [kvm]
[    5.123471]  entry_SYSCALL_64_after_hwframe+0x76/0x7e
[    5.123472] RIP: 0033:0x47fbe9
[    5.123473]  </TASK>
[    5.123474] ---[ end trace 0000000000000000 ]---
[    5.123475] RIP: 0010:kvm_hv_send_ipi.isra.0+0xab/0x1d0 [kvm]
[    5.123476] Kernel panic - not syncing: Fatal exception`;

/** The same with other addresses, offsets, times and numbers of processes. */
export const nullPointerLater = nullPointer
  .replaceAll('PID: 163', 'PID: 4711')
  .replaceAll('+0xab/0x1d0', '+0x33/0x1c0')
  .replaceAll('ffa000000069b9b8', 'ffa00000007777b8')
  .replaceAll('0000000000000008', '0000000000000010')
  .replaceAll('[    5.', '[   77.');

export const warning = `[    4.500000] ------------[ cut here ]------------
[    4.500001] kvm: told to
[    4.500002] WARNING: CPU: 0 PID: 162 at arch/x86/kvm/hyperv.c:2020 kvm_hv_hypercall+0x9f/0x1d0 [kvm]
[    4.500003] Modules linked in: kvm_amd(E) ccp(E) kvm(E) irqbypass(E)
[    4.500004] RIP: 0010:kvm_hv_hypercall+0x9f/0x1d0 [kvm]
[    4.500005] Call Trace:
[    4.500006]  <TASK>
[    4.500007]  ? __warn.cold+0x93/0xfa
[    4.500008]  svm_handle_exit+0x60/0x270 [kvm_amd]
[    4.500009]  </TASK>
[    4.500010] ---[ end trace 0000000000000000 ]---
[    4.500011] later`;

export const atomic = `BUG: scheduling while atomic: node/165/0x00000002
Call Trace:
 <TASK>
 dump_stack_lvl+0x64/0x80
 __schedule_bug+0x56/0x70
 __schedule+0x9fa/0xbf0
 schedule+0x27/0xc0
 schedule_timeout+0x9e/0x170
 msleep+0x2b/0x40
 kvm_hv_hypercall+0x19b/0x1d0 [kvm]
 </TASK>`;

const kasan = `==================================================================
BUG: KASAN: slab-out-of-bounds in kvm_hv_hypercall+0x7a1/0xe30 [kvm]
Read of size 8 at addr ffff888004b2c008 by task node/152

CPU: 0 UID: 0 PID: 152 Comm: node Not tainted 6.12.0 #1
Call Trace:
 <TASK>
 dump_stack_lvl+0x64/0x80
 print_report+0xd2/0x620
 kasan_report+0xab/0xe0
 __asan_load8+0x6b/0x80
 kvm_hv_hypercall+0x7a1/0xe30 [kvm]
 kvm_emulate_hypercall+0x58/0x320 [kvm]
 svm_handle_exit+0x60/0x270 [kvm_amd]
 </TASK>

Allocated by task 152:
 kasan_save_stack+0x33/0x60
==================================================================`;

const ubsan = `---[ cut here ]---
UBSAN: array-index-out-of-bounds in arch/x86/kvm/hyperv.c:1947:14
index 64 is out of range for type 'long long unsigned int [64]'
CPU: 0 UID: 0 PID: 152 Comm: node
Call Trace:
 <TASK>
 dump_stack_lvl+0x64/0x80
 ubsan_epilogue+0x5/0x2b
 __ubsan_handle_out_of_bounds+0xc6/0x110
 kvm_hv_send_ipi+0x9f/0x1d0 [kvm]
 kvm_hv_hypercall+0x7a1/0xe30 [kvm]
 </TASK>
---[ end trace ]---`;

const stall = `[   17.000000] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:
[   17.000001] rcu: \t(detected by 0, t=3002 jiffies, g=-375, q=1 ncpus=1)
[   17.000002] rcu: RCU grace-period kthread stack dump:
[   17.000003] Call Trace:
[   17.000004]  <TASK>
[   17.000005]  __schedule+0x4e0/0xbf0
[   17.000006]  rcu_gp_fqs_loop+0x140/0x540
[   17.000007]  </TASK>
[   17.000008] rcu: Stack dump where RCU GP kthread last ran:
[   17.000009] RIP: 0010:kvm_hv_hypercall+0x13c/0x1d0 [kvm]
[   17.000010] Call Trace:
[   17.000011]  <TASK>
[   17.000012]  kvm_emulate_hypercall+0x58/0x320 [kvm]
[   17.000013]  </TASK>`;

const softLockup = `watchdog: BUG: soft lockup - CPU#0 stuck for 19s! [node:163]
CPU: 0 UID: 0 PID: 163 Comm: node Tainted: G           OE      6.12.117+deb12-amd64 #1
RIP: 0010:kvm_hv_hypercall+0x13c/0x1d0 [kvm]
Call Trace:
 <TASK>
 kvm_emulate_hypercall+0x58/0x320 [kvm]
 </TASK>`;

const blocked = `INFO: task node:170 blocked for more than 8 seconds.
      Tainted: G           OE      6.12.117+deb12-amd64 #1 Debian 6.12.117-1~deb12u1
task:node            state:D stack:0     pid:170   tgid:170   ppid:1      flags:0x00004002
Call Trace:
 <TASK>
 __schedule+0x4e0/0xbf0
 schedule+0x27/0xc0
 kvm_vm_release+0x9e/0x170 [kvm]
 </TASK>`;

const nmi = `Kernel panic - not syncing: NMI: Not continuing
Call Trace:
 <NMI>
 panic+0x344/0x3a0
 nmi_panic+0x2b/0x40
 unknown_nmi_error+0x73/0xc0
RIP: 0010:kvm_hv_hypercall+0x159/0x1d0 [kvm]
 ? kvm_hv_hypercall+0x159/0x1d0 [kvm]
 </NMI>
 <TASK>
 kvm_emulate_hypercall+0x58/0x320 [kvm]
 </TASK>
Kernel Offset: disabled`;

const lockdep = `======================================================
WARNING: possible circular locking dependency detected
6.12.0 #1 Not tainted
------------------------------------------------------
node/152 is trying to acquire lock:
ffff888004b2c008 (&kvm->lock){+.+.}-{3:3}, at: kvm_hv_set_msr_common+0x5a/0x910 [kvm]

stack backtrace:
CPU: 0 UID: 0 PID: 152 Comm: node Not tainted 6.12.0 #1
Call Trace:
 <TASK>
 dump_stack_lvl+0x64/0x80
 print_circular_bug+0x1e1/0x270
 check_noncircular+0x14f/0x170
 __lock_acquire+0x1a2b/0x2e10
 lock_acquire+0xd3/0x310
 mutex_lock_nested+0x1b/0x30
 kvm_hv_set_msr_common+0x5a/0x910 [kvm]
 </TASK>`;

const frames = 'kvm_hv_hypercall < kvm_emulate_hypercall < svm_handle_exit';
export const reports: [string, string, string, string][] = [
  [
    'null pointer',
    nullPointer,
    'oops',
    `BUG: kernel NULL pointer dereference; RIP kvm_hv_send_ipi; ${frames} < kvm_arch_vcpu_ioctl_run`,
  ],
  [
    'warning',
    warning,
    'warning',
    'WARNING: at arch/x86/kvm/hyperv.c:2020 kvm_hv_hypercall [kvm]; RIP kvm_hv_hypercall; svm_handle_exit',
  ],
  ['KASAN', kasan, 'oops', `BUG: KASAN: slab-out-of-bounds in kvm_hv_hypercall [kvm]; ${frames}`],
  [
    'UBSAN',
    ubsan,
    'warning',
    'UBSAN: array-index-out-of-bounds in arch/x86/kvm/hyperv.c:1947:14; kvm_hv_send_ipi < kvm_hv_hypercall',
  ],
  ['RCU stall', stall, 'hang', 'rcu: INFO: rcu_preempt detected stalls; RIP kvm_hv_hypercall; kvm_emulate_hypercall'],
  ['soft lockup', softLockup, 'hang', 'watchdog: BUG: soft lockup; RIP kvm_hv_hypercall; kvm_emulate_hypercall'],
  ['blocked task', blocked, 'hang', 'INFO: task node blocked; kvm_vm_release'],
  ['NMI', nmi, 'oops', 'Kernel panic - not syncing: NMI: Not continuing; RIP kvm_hv_hypercall; kvm_emulate_hypercall'],
  [
    'lockdep',
    lockdep,
    'warning',
    'WARNING: possible circular locking dependency detected; mutex_lock_nested < kvm_hv_set_msr_common',
  ],
];
