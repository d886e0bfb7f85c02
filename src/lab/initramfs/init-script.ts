/** The first program in the lab: a shell script for busybox. */
import { noteMark } from '../console/note-mark.ts';

/** Paths inside the lab. */
export const guestPaths = {
  node: 'hvipi/node',
  agent: 'hvipi/agent.mjs',
  nodeModules: 'hvipi/node_modules',
  modules: 'hvipi/modules',
} as const;

/**
 * The text of /init. It loads modules, starts the agent (or a shell), and ends the computer when that ends. What fails is
 * said in one marked line, which the host side turns into its error.
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
# A module that cannot be loaded is often built in; what is wrong with those of the channel shows soon enough.
for module in ${moduleFiles.join(' ')}; do
  insmod /${guestPaths.modules}/$module 2> /dev/null
done
echo 8 > /proc/sys/kernel/hung_task_timeout_secs 2> /dev/null
echo 8 > /proc/sys/kernel/printk
ulimit -n 65536
if grep -q hvipi.shell /proc/cmdline; then
  setsid cttyhack sh
else
  # One CPU: V8's background threads would only take turns with the vCPUs.
  /${guestPaths.node} --single-threaded --max-semi-space-size=16 /${guestPaths.agent}
  say "the agent ended with status $?"
fi
reboot -f
`;
}
