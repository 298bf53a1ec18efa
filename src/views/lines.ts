import { showDuration } from '../runbook/duration.ts'
import type { RunEvent, StepFace } from '../runbook/events.ts'
import { marks, paint, wrap } from './ink.ts'
import { oneLine } from './live-fit.ts'
import { tableLines } from './table.ts'
import type { Paper, View } from './view.ts'
import { type StepWarning, warningLines } from './warnings.ts'

/** One line for each thing worth knowing: for pipes, logs and CI. Nothing is ever redrawn. */
export function linesView(paper: Paper): View {
  const steps = new Map<string, StepFace>()
  const phases = new Map<string, string>()
  const warnings: StepWarning[] = []
  let current = ''
  const ink = paint(paper.colour)
  const title = (id: string) => steps.get(id)?.title ?? id
  const say = (mark: string, text: string) =>
    paper.write(`${wrap(`  ${mark} ${oneLine(text)}`, paper.columns, 4)}\n`)
  const enter = (id: string) => {
    const phase = steps.get(id)?.phase ?? ''
    if (phase === current) return
    current = phase
    paper.write(`${ink.bold(phases.get(phase) ?? phase)}\n`)
  }
  return {
    event(event) {
      switch (event.code) {
        case 'run-started':
          for (const phase of event.phases) phases.set(phase.id, phase.title)
          paper.write(
            `${event.resumed ? 'Resuming' : 'Beginning'} run ${ink.bold(event.run)} (${event.runbook})\n`,
          )
          break
        case 'steps-known':
          for (const step of event.steps) steps.set(step.id, step)
          break
        case 'step-table':
          enter(event.step)
          paper.write(`${tableLines(event.table, paper, 4).join('\n')}\n`)
          break
        case 'step-done':
          warnings.push(...(event.warnings ?? []).map(warning => ({ title: title(event.step), warning })))
          line(event, title, say, enter, ink)
          break
        case 'run-ended':
          for (const told of warningLines(warnings, paper)) paper.write(`${told}\n`)
          line(event, title, say, enter, ink)
          break
        default:
          line(event, title, say, enter, ink)
      }
    },
    async close() {},
  }
}

function line(
  event: RunEvent,
  title: (id: string) => string,
  say: (mark: string, text: string) => void,
  enter: (id: string) => void,
  ink: ReturnType<typeof paint>,
): void {
  switch (event.code) {
    case 'step-applying':
      enter(event.step)
      say(marks.works, title(event.step))
      break
    case 'step-note':
      say(marks.note, `${title(event.step)}: ${event.text}`)
      break
    case 'step-waiting':
      say(
        marks.waits,
        `${title(event.step)}: waiting for ${event.what}, ${showDuration(event.limitMs)} at most`,
      )
      break
    case 'step-repeating':
    case 'step-moved':
      say(marks.note, `${title(event.step)}: ${event.because}`)
      break
    case 'step-retrying':
      say(
        marks.note,
        `${title(event.step)}: ${event.fault.message}; trying again (${event.attempt + 1} of ${event.of})`,
      )
      break
    case 'step-done':
      enter(event.step)
      say(
        ink.green(marks.done),
        `${title(event.step)}: ${event.evidence}${event.how === 'applied' ? ` (${showDuration(event.tookMs)})` : event.how === 'kept' ? ' (from the journal)' : ''}`,
      )
      for (const { message, code } of event.warnings ?? [])
        say(ink.yellow(marks.warning), `${message} [${code}]`)
      break
    case 'step-left':
      say(marks.note, `${title(event.step)}: not begun, since ${event.because}`)
      break
    case 'step-failed':
      enter(event.step)
      say(ink.red(marks.failed), `${title(event.step)}: ${event.fault.message} [${event.fault.code}]`)
      say(' ', `What to do: ${event.fault.remedy}`)
      break
    case 'hand-needed':
      say(ink.yellow(marks.hand), event.text)
      break
    case 'consent-needed':
      say(
        ink.yellow(marks.hand),
        `needs your consent to destroy ${event.victims.map(v => `${v.kind} ${v.name}`).join(', ')}`,
      )
      break
    case 'consent-given':
      say(
        marks.note,
        `${event.by} agreed to destroying ${event.victims.map(v => `${v.kind} ${v.name}`).join(', ')}`,
      )
      break
    case 'notice':
      say(marks.note, event.text)
      break
    case 'run-stopping':
      say(
        marks.note,
        event.how === 'now'
          ? 'stopping at once'
          : 'stopping after what is going on now; again to stop at once',
      )
      break
    case 'run-ended':
      say(
        event.state === 'finished' ? ink.green(marks.done) : ink.red(marks.failed),
        event.state === 'finished'
          ? `Run ${event.run} is finished, after ${showDuration(event.tookMs)}`
          : `Run ${event.run} ${event.state === 'failed' ? 'cannot go on' : 'was stopped'}, with ${event.left} steps left; \`recover resume ${event.run}\` goes on`,
      )
      break
  }
}
