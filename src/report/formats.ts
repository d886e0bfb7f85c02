/** The formats of a report. */
import { formatHtml } from './html.ts';
import { formatJunit } from './junit.ts';
import { formatMarkdown } from './markdown.ts';
import { sarifValue } from './sarif.ts';
import type { CampaignValue } from './value.ts';

export interface ReportFormat {
  /** Of the file, without the dot. */
  readonly extension: string;
  format(value: CampaignValue): string;
}

const json = (value: object): string => `${JSON.stringify(value, null, 2)}\n`;

export const reportFormats = {
  html: { extension: 'html', format: formatHtml },
  md: { extension: 'md', format: formatMarkdown },
  json: { extension: 'json', format: json },
  junit: { extension: 'xml', format: formatJunit },
  sarif: { extension: 'sarif', format: (value) => json(sarifValue(value)) },
} as const satisfies Record<string, ReportFormat>;

export type ReportFormatName = keyof typeof reportFormats;
