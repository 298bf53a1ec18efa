import { showDuration } from '../runbook/duration.ts'
import type { Report, ReportState, StepReport } from './report.ts'
import { count, short, showBytes } from './text.ts'
import type { VolumeReport } from './volumes.ts'

/** How a run stands, to follow its name: `Run X …`. */
export const stateWords: Record<ReportState, string> = {
  finished: 'is finished',
  failed: 'failed and can be resumed',
  stopped: 'was stopped and can be resumed',
  running: 'is going on',
  interrupted: 'was interrupted and can be resumed',
  damaged: 'has a damaged journal',
}

/** How a step came to its state; `running` says whether the run goes on. */
export function stepWords(step: StepReport, running: boolean): string {
  switch (step.state) {
    case 'done':
      if (step.how === 'applied') return 'done'
      if (step.how === 'already') return 'found so'
      return step.attempts > 0 ? 'done, and seen after a resume' : 'seen again after a resume'
    case 'failed':
      return 'failed'
    case 'begun':
      return 'begun, going on'
    case 'interrupted':
      return 'begun, not seen to finish'
    case 'ahead':
      if (!step.ready) return 'not come to yet'
      return running ? 'looking or waiting' : 'comes next'
  }
}

/** How a volume came back: `adopted as pvc-…`. */
export function backWords(volume: VolumeReport): string {
  if (!volume.back)
    return volume.proof === 'begins-empty' ? 'begins empty, as told' : `not back yet${wanted(volume)}`
  const past: Record<string, string> = {
    adopt: 'adopted',
    copy: 'copied',
    'host-copy': 'copied on a host',
    clone: 'cloned',
    restore: 'restored',
    new: 'made new',
  }
  return past[volume.back.by] ?? volume.back.by
}

function wanted(volume: VolumeReport): string {
  return volume.strategy === undefined ? '' : ` (${volume.strategy})`
}

/** The proof of a volume's content, one line without its name. */
export function proofWords({ proof, before, after, problem }: VolumeReport): string {
  switch (proof) {
    case 'same':
      return `${contentWords(after!)}, sha256 ${short(after!.sha256)} before and after`
    case 'differs':
      return `NOT what it was: before ${contentWords(before!)}, sha256 ${short(before!.sha256)}; after ${contentWords(after!)}, sha256 ${short(after!.sha256)}`
    case 'missing':
      if (problem) return `NOT proven: ${problem.message}`
      return before ? `sha256 ${short(before.sha256)} before, not compared since` : 'content not compared'
    case 'begins-empty':
      return 'nothing to compare'
    case 'from-backup':
      return 'every file read back and compared with the backup'
  }
}

function contentWords(content: { files: number; bytes: number }): string {
  return `${count(content.files, 'file')}, ${showBytes(content.bytes)}`
}

/** What came back, in one sentence a piece: steps, then volumes. */
export function outcome(report: Report): string[] {
  const done = report.phases.reduce((n, p) => n + p.done, 0)
  const total = report.phases.reduce((n, p) => n + p.total, 0)
  const lines = [
    report.state === 'finished'
      ? `All ${total} steps are done, each seen to be done by looking`
      : `${done} of ${count(total, 'known step')} ${done === 1 ? 'is' : 'are'} done`,
  ]
  const { volumes } = report
  if (volumes.length === 0) return lines
  const restored = volumes.filter(v => v.proof === 'from-backup').length
  const old = volumes.filter(v => v.proof !== 'begins-empty' && v.proof !== 'from-backup')
  const is = (n: number) => (n === 1 ? 'is' : 'are')
  const same = old.filter(v => v.proof === 'same').length
  const differs = old.filter(v => v.proof === 'differs').length
  const missing = old.length - same - differs
  const empty = volumes.length - old.length - restored
  const parts = [
    ...(old.length > 0 ? [`Volumes proven to hold what they held before: ${same} of ${old.length}`] : []),
    ...(differs > 0 ? [`${differs} ${differs === 1 ? 'DIFFERS' : 'DIFFER'}`] : []),
    ...(missing > 0 ? [`${missing} ${is(missing)} not compared`] : []),
    ...(restored > 0 ? [`${restored} restored from ${restored === 1 ? 'its backup' : 'their backups'}`] : []),
    ...(empty > 0 ? [`${empty} ${empty === 1 ? 'begins' : 'begin'} empty, as told`] : []),
  ]
  return [...lines, parts.join('; ')]
}

/** What failed and how: the message already begins with the title where the step itself refused. */
export function failureWords(title: string, message: string): string {
  return message.startsWith(title) ? message : `${title}: ${message}`
}

/** How long the run was worked on. */
export function workedWords(report: Report): string {
  return `${report.workedMeasured ? '' : 'about '}${showDuration(report.workedMs)}`
}

/** Whether a run was in earnest, for a heading. */
export function modeWords(mode: string | undefined): string {
  if (mode === 'real') return 'in earnest'
  return mode === 'rehearsal' ? 'a rehearsal, no real machine was touched' : (mode ?? 'mode not known')
}
