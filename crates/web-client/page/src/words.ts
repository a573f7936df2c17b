import type { Analysis, AnalysisCompleted, AnalysisFailed, Logged } from 'tendril-client';

export type Ended = (AnalysisCompleted | AnalysisFailed) & Logged;

export function isFailed(ended: Ended): ended is AnalysisFailed & Logged {
  return ended.status === 'Failed';
}

/** "Wheat, analysis 12" */
export function nameOf({ analysisId, cropType }: Pick<Analysis, 'analysisId' | 'cropType'>): string {
  return cropType ? `${capital(cropType)} #${analysisId}` : `Analysis #${analysisId}`;
}

export function outcomeOf(ended: Ended): string {
  if (isFailed(ended)) return ended.errorMessage;
  const concern = ended.primaryConcern ?? 'The analysis is done.';
  return ended.overallHealthScore == null ? concern : `${concern} · health ${ended.overallHealthScore} of 100`;
}

export type Grade = 'good' | 'fair' | 'poor';

export function gradeOf(score: number): Grade {
  if (score >= 75) return 'good';
  return score >= 45 ? 'fair' : 'poor';
}

export function capital(text: string): string {
  return text.charAt(0).toLocaleUpperCase() + text.slice(1);
}

export function percent(share: number): string {
  const digits = share > 0 && share < 0.1 ? 1 : 0;
  return `${(share * 100).toFixed(digits)} %`;
}

const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
const absolute = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short' });

/** "3 minutes ago"; for what is older than a day the date. */
export function ago(time: string, now = Date.now()): string {
  const seconds = Math.min(0, Math.round((Date.parse(time) - now) / 1000));
  if (seconds > -45) return 'just now';
  if (seconds > -3600) return relative.format(Math.round(seconds / 60), 'minute');
  if (seconds > -86400) return relative.format(Math.round(seconds / 3600), 'hour');
  return absolute.format(new Date(time));
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

/**
 * The link of a picture as one of this origin: the hub signs its paths, and hands them out under
 * its public name, which need not be the one that this page was opened by. Null for pictures
 * that are elsewhere, which this page may not load.
 */
export function ownPicture(url: string | null | undefined): string | null {
  if (!url) return null;
  const { pathname, search } = new URL(url, location.href);
  return pathname.startsWith('/api/v1/plantanalyses/') ? pathname + search : null;
}
