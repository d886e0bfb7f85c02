/**
 * Tells a kernel failure from ordinary output on the console, and names it. Patterns are the texts that Linux 6.1 to
 * 6.12 print (kernel/panic.c, arch/x86/kernel/{dumpstack,traps}.c, arch/x86/mm/fault.c, mm/kasan/report.c, lib/ubsan.c,
 * kernel/locking/lockdep.c, kernel/{hung_task,watchdog}.c, kernel/rcu/tree_stall.h). They are anchored at the start of
 * the line, because drivers, and the kernel about user programs ("traps: init[1] general protection fault"), use the
 * same words further on.
 */
import { stripVTControlCharacters } from 'node:util';

export interface ConsoleReport {
  readonly kind: 'oops' | 'warning' | 'hang';
  /** Headline, place and top frames, without what differs from boot to boot (addresses, numbers of processes). */
  readonly fingerprint: string;
  /** The lines of the report. */
  readonly excerpt: string;
}

type Kind = ConsoleReport['kind'];

/** The first match decides. */
const headlines: readonly (readonly [RegExp, Kind])[] = [
  [/^watchdog: BUG: soft lockup/, 'hang'],
  [/^(?:NMI )?watchdog: Watchdog detected hard LOCKUP/, 'hang'],
  [/^rcu: INFO: rcu_\w+ (?:self-)?detected (?:expedited )?stall/, 'hang'],
  [/^INFO: task .* blocked (?:for more than|in I\/O wait)/, 'hang'],
  [/^BUG: workqueue lockup/, 'hang'],
  [/^BUG: (?:sleeping function|scheduling while atomic|using \w+ in preemptible|spinlock|KCSAN)/, 'warning'],
  [/^BUG: /, 'oops'],
  [/^kernel BUG at /, 'oops'],
  [/^(?:Oops: )?general protection fault\b/, 'oops'],
  [/^(?:Oops|[a-z][\w -]*): (?:.*: )?[0-9a-f]{4} \[#\d+\]/, 'oops'],
  [/^traps: PANIC: /, 'oops'],
  [/^PANIC: double fault/, 'oops'],
  [/^Kernel panic - not syncing/, 'oops'],
  [/^UBSAN: /, 'warning'],
  [/^WARNING: /, 'warning'],
  [/^INFO: (?:possible|inconsistent|suspicious|trying to register)/, 'warning'],
  [/^unchecked MSR access error/, 'warning'],
];

/** How many frames of the call trace go into a fingerprint. */
const frameCount = 4;

/** A warning's own text stands between this line and its headline. */
const cutLine = '------------[ cut here ]------------';
/** How many lines of text a warning may have before its headline. */
export const prefaceLinesMax = 5;

/** Frames that report a failure and are on the way of every one. */
const reportingFrames = new RegExp(
  [
    '^_*(?:dump_stack|show_|print_|warn|report_bug|handle_bug|die|oops_|page_fault_oops|bad_area|do_user_addr_fault)',
    '^(?:exc_|asm_exc_|asm_sysvec_|sysvec_|asm_common_interrupt|common_interrupt|do_error_trap|do_trap|fixup_)',
    '^(?:panic|nmi_panic|unknown_nmi_error|default_do_nmi|end_repeat_nmi|check_panic)',
    '^_*(?:kasan_|asan_|ubsan_|hwasan_|kmsan_|kcsan_)|^check_memory_region|^__might_|^___might_',
    '^(?:watchdog_timer_fn|rcu_sched_clock|rcu_dump|rcu_check|update_process_times|tick_|__hrtimer|hrtimer_)',
    '^(?:__schedule|schedule|schedule_timeout|__schedule_bug)$',
    '^(?:check_noncircular|check_prev|validate_chain|__lock_acquire|lock_acquire|lockdep_)',
  ].join('|'),
);

/** A line without the time stamp, carriage return and colour that the console may add. */
export function cleanLine(line: string): string {
  return stripVTControlCharacters(line)
    .replace(/\r$/, '')
    .replace(/^(?:<\d+>)?\[ *\d+\.\d{6}\](?:\[ *[TC]\d+\])? /, '');
}

/** What kind of failure this clean line begins, or null. */
export function headlineKind(line: string): Kind | null {
  return headlines.find(([pattern]) => pattern.test(line))?.[1] ?? null;
}

/** Whether this clean line is the last of a report of this kind. What does not end so ends with silence. */
export function endsReport(kind: Kind, line: string): boolean {
  if (line.startsWith('---[ end Kernel panic')) return true;
  return kind === 'warning' && line.startsWith('---[ end trace');
}

/** Whether this clean line begins the next report, whatever it will be. */
export function beginsNext(line: string): boolean {
  return line === cutLine;
}

/** The report that starts at the first headline of these lines, or null when there is none. */
export function classifyConsole(lines: readonly string[]): ConsoleReport | null {
  const cleaned = lines.map(cleanLine);
  const start = cleaned.findIndex((line) => headlineKind(line) !== null);
  if (start < 0) return null;
  const kind = headlineKind(cleaned[start]!)!;
  const rest = cleaned.slice(start);
  const last = rest.findIndex((line) => endsReport(kind, line));
  const next = kind === 'oops' ? -1 : rest.findIndex(beginsNext);
  const ends = [last < 0 ? rest.length : last + 1, next < 0 ? rest.length : next];
  const report = rest.slice(0, Math.min(...ends));
  const cut = cleaned.slice(0, start).lastIndexOf(cutLine);
  const preface = cut >= 0 && start - cut <= prefaceLinesMax ? cleaned.slice(cut + 1, start) : [];
  return { kind, fingerprint: fingerprintOf(report), excerpt: [...preface, ...report].join('\n') };
}

/** Names a report (clean lines, headline first) across boots. */
export function fingerprintOf(report: readonly string[]): string {
  const ripPattern = /^RIP: 0010:([\w.]+)\+0x/;
  const ripLine = report.findIndex((line) => ripPattern.test(line));
  const headline = headlineText(report[0] ?? '');
  const frames = topFrames(report, ripLine);
  // That the CPU idles says that something else does not go on.
  if (frames[0]?.includes('idle')) return `${headline}; CPU idle`;
  const rip = ripLine < 0 ? undefined : withoutSuffix(ripPattern.exec(report[ripLine]!)![1]!);
  const parts = [headline];
  if (rip !== undefined) parts.push(`RIP ${rip}`);
  const others = frames.filter((frame) => frame !== rip);
  if (others.length > 0) parts.push(others.slice(0, frameCount).join(' < '));
  return parts.join('; ');
}

/** The headline without offsets, addresses, numbers of CPUs and processes, and durations. */
function headlineText(line: string): string {
  return line
    .replace(/ ?\(?CPU: ?\d+\)?|,? CPU#\d+:? ?.*$| on CPUs?.*$/g, '')
    .replace(/ - CPU#\d+.*$| stuck for \d+s!|\[[\w/.: -]+:\d+\]/g, '')
    .replace(/ (?:PID|UID): ?\d+/g, '')
    .replace(/ task (\S+):\d+/, ' task $1')
    .replace(/(: [^\s/]+)\/\d+\/0x[0-9a-f]+/, '$1')
    .replace(/ for more than \d+ seconds\.?/, '')
    .replace(/,? (?:at )?address:? [0-9a-f]{8,}/g, '')
    .replace(/\+0x[0-9a-f]+\/0x[0-9a-f]+/g, '')
    .replace(/(?:0x)?[0-9a-f]{16}/g, 'ADDRESS')
    .replace(/: [0-9a-f]{4} (?=\[#)/, ' ')
    .replace(/ \[#\d+\].*$/, '')
    .replace(/ {2,}/g, ' ')
    .replace(/[\s-]+$/, '');
}

/**
 * Functions of the first call trace after `start` (the RIP line, whose stack it is; -1 for none), innermost first,
 * without guessed ones ("? name") and without those of an NMI that was sent to find out.
 */
function topFrames(report: readonly string[], start: number): string[] {
  const frames: string[] = [];
  let inTrace = false;
  let inNmi = false;
  for (const [index, line] of report.entries()) {
    if (/^\s*Call Trace:/.test(line)) inTrace = true;
    else if (/^\s*<NMI>/.test(line)) inNmi = true;
    else if (/^\s*<\/NMI>/.test(line)) inNmi = false;
    else if (inTrace && !inNmi && index > start) {
      const name = /^\s+([\w.]+)\+0x[0-9a-f]+\/0x[0-9a-f]+/.exec(line)?.[1];
      if (name !== undefined && !reportingFrames.test(name)) frames.push(withoutSuffix(name));
      else if (name === undefined && !/^\s+[<?]/.test(line) && frames.length > 0) break;
    }
  }
  return frames;
}

/** Without what the compiler adds to the name of a function that it split or cloned. */
function withoutSuffix(name: string): string {
  return name.replace(/\.(?:isra|constprop|part|cold).*$/, '');
}
