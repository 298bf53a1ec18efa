import { showDuration } from '../runbook/duration.ts'
import type { Report, StepReport } from './report.ts'
import { count, plain, short, showBytes, when } from './text.ts'
import { backWords, failureWords, modeWords, outcome, stateWords, stepWords, workedWords } from './words.ts'

export interface MarkdownOptions {
  /** Time zone of the points in time, an IANA name; this machine's when absent. */
  timeZone?: string
}

/**
 * A report as a page (GitHub Flavored Markdown) that also reads well as plain text: what came back and what remains on
 * the first sheet, everything else after it.
 */
export function markdown(report: Report, options: MarkdownOptions = {}): string {
  const at = (iso: string) => when(iso, options.timeZone)
  const sections = [
    head(report, at),
    outcomeSection(report),
    volumesSection(report),
    timeSection(report),
    remainsSection(report),
    failuresSection(report, at),
    warningsSection(report),
    stepsSection(report, at),
    consentsSection(report, at),
    happeningsSection(report, at),
    processesSection(report, at),
    volumeDetails(report),
    `The journal of this run lies in ${code(report.folder)}.`,
  ]
  return `${sections.filter(s => s !== '').join('\n\n')}\n`
}

type At = (iso: string) => string

function head(report: Report, at: At): string {
  const { began, ended, lastRecord, runbook, input, mode } = report
  const rows = [
    ...(runbook === undefined ? [] : [['Runbook', `${code(runbook)}, ${text(modeWords(mode))}`]]),
    ...(input === undefined ? [] : [['Cluster file', code(input)]]),
    ...(began === undefined ? [] : [['Began', at(began)]]),
    ended === undefined ? ['Last record', lastRecord ? at(lastRecord) : 'none'] : ['Ended', at(ended)],
    ['Worked on for', workedWords(report)],
  ]
  const lines = [`# Run ${text(report.run)} ${stateWords[report.state]}`, '', ...table(['', ''], rows)]
  const { damage } = report
  if (damage)
    lines.push(
      '',
      `> **The journal is damaged at line ${damage.line}.** ${text(damage.fault.message)}. ${
        damage.line > 1 ? `This page tells what the ${count(damage.line - 1, 'line')} before it say; ` : ''
      }${count(damage.linesLost, 'line')} from there on ${damage.linesLost === 1 ? 'is' : 'are'} not believed.`,
    )
  return lines.join('\n')
}

function outcomeSection(report: Report): string {
  const standing = report.failures.filter(f => f.standing)
  const lines = outcome(report).map(line => `- ${text(line)}.`)
  for (const f of standing) lines.push(`- **Failed:** ${text(failureWords(f.title, f.fault.message))}.`)
  const unfinished = steps(report).filter(s => s.state === 'begun' || s.state === 'interrupted')
  for (const s of unfinished) lines.push(`- ${text(s.title)}: ${stepWords(s, report.state === 'running')}.`)
  return section('What came back', lines)
}

function volumesSection(report: Report): string {
  const rows = report.volumes.map(v => [
    text(v.claim),
    text(backWords(v)),
    v.after ? String(v.after.files) : v.before ? String(v.before.files) : '',
    v.after ? showBytes(v.after.bytes) : v.before ? showBytes(v.before.bytes) : '',
    v.before ? code(short(v.before.sha256)) : '',
    v.after ? code(short(v.after.sha256)) : '',
    {
      same: 'same',
      differs: '**DIFFERS**',
      missing: 'not compared',
      'begins-empty': 'begins empty',
      'from-backup': 'as in the backup',
    }[v.proof],
  ])
  if (rows.length === 0) return ''
  return section('Volumes', [
    ...table(['Volume', 'How', 'Files', 'Size', 'Hash before', 'Hash after', 'Content'], rows),
    '',
    'A hash is SHA-256 over the names and contents of all files; its first 12 digits stand here, all of it below.',
  ])
}

function timeSection(report: Report): string {
  const rows = report.phases.map(p => [
    text(p.title),
    `${p.done} of ${p.total}`,
    p.elapsedMs > 0 || p.done > 0 ? showDuration(p.elapsedMs) : '',
  ])
  if (rows.length === 0) return ''
  rows.push(['**Whole run**', '', `**${workedWords(report)}**`])
  return section('Time per phase', [
    ...table(['Phase', 'Steps done', 'Time'], rows),
    '',
    'Phases overlap where nothing keeps them apart; the whole run is what its processes worked, without pauses between them.',
  ])
}

function remainsSection(report: Report): string {
  const items = report.remains.map(item => `- [ ] ${text(item)}`)
  const none = report.state === 'running' ? 'It is still going on; nothing is asked of you now.' : 'Nothing.'
  return section('What remains for you to do', items.length > 0 ? items : [none])
}

function failuresSection(report: Report, at: At): string {
  return section(
    'Failures',
    report.failures.flatMap(f => [
      `- ${at(f.at)} (${f.standing ? 'still so' : 'overcome since'}): ${text(failureWords(f.title, f.fault.message))} (${code(f.fault.code)}${f.fault.at === undefined ? '' : `, ${code(f.fault.at)}`})`,
      ...(f.fault.cause === undefined ? [] : [`  - Cause: ${text(f.fault.cause)}`]),
      `  - What to do: ${text(f.fault.remedy)}`,
    ]),
  )
}

function warningsSection(report: Report): string {
  return section(
    'Warnings',
    report.warnings.flatMap(w => [
      `- ${text(w.title)}: ${text(w.message)} (${code(w.code)})`,
      `  - What to do: ${text(w.remedy)}`,
    ]),
  )
}

function stepsSection(report: Report, at: At): string {
  const lines: string[] = []
  for (const phase of report.phases) {
    lines.push(...(lines.length > 0 ? [''] : []), `### ${text(phase.title)}`, '')
    for (const step of phase.steps) lines.push(...stepLines(step, report.state === 'running', at))
  }
  return section('Every step', lines)
}

const marks = { done: '✔', failed: '✖', begun: '▸', interrupted: '▸', ahead: '·' } as const

function stepLines(step: StepReport, running: boolean, at: At): string[] {
  const aside = [
    stepWords(step, running),
    ...(step.tookMs > 0 ? [showDuration(step.tookMs)] : []),
    ...(step.attempts > 1 ? [`${step.attempts} attempts`] : []),
  ].join(', ')
  const evidence = step.evidence === undefined ? '' : `: ${text(step.evidence)}`
  const lines = [`- ${marks[step.state]} **${text(step.title)}**${evidence} (${aside})`]
  if (step.state !== 'done' && step.begunAt !== undefined)
    lines.push(`  - begun ${at(step.begunAt)}, to ${(step.changes ?? []).map(text).join('; ')}`)
  for (const note of step.notes) lines.push(`  - ${text(note)}`)
  return lines
}

function consentsSection(report: Report, at: At): string {
  const how = { typed: 'typed by hand', plan: 'by an approved plan', rehearsed: 'rehearsed' }
  return section(
    'Agreed to be destroyed',
    report.consents.flatMap(c => [
      `- ${at(c.at)}: ${text(c.by)}, ${how[c.how]}${c.plan === undefined ? '' : ` ${code(c.plan)}`}`,
      ...c.victims.map(v => {
        const identity = Object.entries(v.identity).map(([name, value]) => `${name} ${value}`)
        return `  - ${text(v.kind)} **${text(v.name)}** (${text(identity.join(', '))}), on it then: ${
          text(v.content.join('; ')) || 'nothing that was recognised'
        }${v.begun ? '' : '. It was not touched'}`
      }),
    ]),
  )
}

function happeningsSection(report: Report, at: At): string {
  return section(
    'Out of the ordinary',
    report.happenings.map(h => `- ${h.at === undefined ? '' : `${at(h.at)}: `}${text(h.text)}`),
  )
}

function processesSection(report: Report, at: At): string {
  const rows = report.processes.map(p => [
    at(p.began),
    text(p.by),
    text(p.program),
    `${p.measured ? '' : 'at least '}${showDuration(p.tookMs)}`,
    p.state ?? (report.state === 'running' && p === report.processes.at(-1) ? 'going on' : 'no end recorded'),
  ])
  if (rows.length === 0) return ''
  return section('Who worked on it', table(['Began', 'By', 'Version', 'Worked', 'Ended'], rows))
}

function volumeDetails(report: Report): string {
  const lines = report.volumes.flatMap(v => [
    `- **${text(v.claim)}**${v.sizeBytes === undefined ? '' : `, ${showBytes(v.sizeBytes)}`}`,
    ...(v.lun || v.share
      ? [
          `  - old ${v.share ? 'share' : 'disk'}: ${code((v.lun ?? v.share)!.name)} (${code((v.lun ?? v.share)!.uuid)})${v.sources.length > 0 ? `, named by ${text(v.sources.join(' and '))}` : ''}`,
        ]
      : []),
    ...(v.snapshot ? [`  - snapshot: ${code(v.snapshot)}`] : []),
    ...(v.back ? [`  - now: PersistentVolume ${code(v.back.pv)}, handle ${code(v.back.handle)}`] : []),
    ...(v.before
      ? [`  - before: ${count(v.before.files, 'file')}, ${v.before.bytes} bytes, ${code(v.before.sha256)}`]
      : []),
    ...(v.problem ? [`  - in the way: ${text(v.problem.message)}`] : []),
    ...(v.after
      ? [`  - after: ${count(v.after.files, 'file')}, ${v.after.bytes} bytes, ${code(v.after.sha256)}`]
      : []),
  ])
  if (report.ownerlessDisks.length > 0)
    lines.push(`- Disks on the NAS that no volume owns: ${report.ownerlessDisks.map(code).join(', ')}`)
  return section('Volumes in full', lines)
}

function steps(report: Report): StepReport[] {
  return report.phases.flatMap(p => p.steps)
}

function section(title: string, lines: string[]): string {
  return lines.length === 0 ? '' : [`## ${title}`, '', ...lines].join('\n')
}

/** A table whose columns are aligned in plain text too. */
function table(header: string[], rows: string[][]): string[] {
  const widths = header.map((h, i) => Math.max(3, h.length, ...rows.map(r => [...(r[i] ?? '')].length)))
  const line = (cells: string[]) =>
    `| ${widths.map((w, i) => (cells[i] ?? '') + ' '.repeat(Math.max(0, w - [...(cells[i] ?? '')].length))).join(' | ')} |`
  return [line(header), `| ${widths.map(w => '-'.repeat(w)).join(' | ')} |`, ...rows.map(line)]
}

/** Text that Markdown shows as it is; what stands between backticks stays code. */
function text(raw: string): string {
  return plain(raw)
    .split(/(`[^`]+`)/)
    .map((piece, i) =>
      i % 2 === 1
        ? piece.replaceAll('|', '\\|')
        : piece
            .replaceAll(/[\\`*|<]/g, '\\$&')
            .replaceAll(/(?<![\p{L}\p{N}])_|_(?![\p{L}\p{N}])/gu, '\\_')
            .replaceAll(/\](?=[([:])/g, '\\]')
            .replaceAll(/~(?=~)/g, '\\~')
            .replaceAll(/&(?=#?\w+;)/g, '\\&'),
    )
    .join('')
    .replace(/^([#>+-]|=)/, '\\$1')
    .replace(/^(\d+)([.)])(?= )/, '$1\\$2')
}

/** A name or hash as code, whatever is in it. */
function code(raw: string): string {
  // No way of writing a backslash before a pipe in a table's code is read alike everywhere; no name has one.
  const inner = plain(raw)
    .replaceAll(/\\+(?=\|)/g, '')
    .replaceAll('|', '\\|')
  if (!inner.includes('`')) return `\`${inner}\``
  return `\`\` ${inner} \`\``
}
