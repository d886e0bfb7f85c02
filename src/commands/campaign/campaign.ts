/** `campaign start|resume|status|report|merge`: runs of hours and days, on one machine or many. */
import type { Command } from 'commander';
import { mergeInto, reportCampaign, type ReportOptions } from './campaign-report.ts';
import { campaignStatus } from './campaign-status.ts';
import { addRunOptions, knownOf, type RunOptions } from './campaign-options.ts';
import { resumeCampaign, type StartOptions, startCampaign } from './campaign-run.ts';
import type { CommandContext } from '../common/command.ts';
import { addTargetOptions, parsePositive, parseSeed } from '../common/options.ts';

const folderHelp = 'directory of the campaign';

export function addCampaign(program: Command, context: CommandContext, finish: (exitCode: number) => void): void {
  const campaign = program.command('campaign').description('runs of hours and days, on one machine or many');
  addRunOptions(addTargetOptions(campaign.command('start').description('begin a campaign in a directory of its own')))
    .argument('<DIR>', folderHelp)
    .option('--seed <TEXT>', 'seed of the campaign; random by default', parseSeed)
    .option('--runs <N>', 'stop after N generated cases, of all shards together', parsePositive)
    .option('--shard <I/N>', 'run every N-th batch; by default what JOB_COMPLETION_INDEX or SLURM_ARRAY_TASK_ID say')
    .option('--no-corpus', 'do not run the saved cases first')
    .option('--coverage', "count which lines of KVM's hyperv.c and lapic.c run, for the report")
    .option('--or-resume', 'go on if the directory holds this campaign already')
    .action(async (folder: string, options: StartOptions) => finish(await startCampaign(folder, options, context)));
  addRunOptions(campaign.command('resume').description('go on where the campaign was, however it ended'))
    .argument('<DIR>', folderHelp)
    .option('--no-install', 'install nothing; say what is missing')
    .action(async (folder: string, options: RunOptions) => finish(await resumeCampaign(folder, options, context)));
  campaign
    .command('status')
    .description('how a campaign is doing, also while it runs')
    .argument('<DIR>', folderHelp)
    .option('--known <FILE>', 'known findings, to be kept apart')
    .option('--json', 'one JSON object on stdout')
    .action(async (folder: string, options: { known?: string; json?: true }) => {
      finish(await campaignStatus(folder, knownOf(options), options, context));
    });
  campaign
    .command('report')
    .description('write a report of a campaign, also while it runs')
    .argument('<DIR>', folderHelp)
    .option('--format <NAME>', 'html, md, json, junit or sarif', 'html')
    .option('--out <FILE>', 'where to; - is stdout (default: report.* in the directory)')
    .option('--source <DIR>', 'with --coverage: the kernel tree to show (default: the one that was built)')
    .option('--known <FILE>', 'known findings, to be kept apart')
    .action(async (folder: string, options: ReportOptions) => {
      finish(await reportCampaign(folder, knownOf(options), options, context));
    });
  campaign
    .command('merge')
    .description('make one campaign of the directories of its shards, or of copies of them')
    .argument('<DIR>', 'directory to merge into; new, or made by an earlier merge')
    .argument('<FROM...>', 'directories of shards')
    .option('--json', 'one JSON object on stdout')
    .action(async (folder: string, sources: string[], options: { json?: true }) => {
      finish(await mergeInto(folder, sources, options, context));
    });
}
