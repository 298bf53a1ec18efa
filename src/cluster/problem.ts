import type { z } from 'zod'
import { Fault } from '../runbook/fault.ts'

/** One thing wrong in a file of the person's, with the place where to mend it. */
export interface Problem {
  /** `recover.yaml:14:5`. */
  at: string
  /** `hosts.lithium.disk`. */
  path: string
  message: string
}

/** What a schema finds wrong, with the place of the field that `at` knows. */
export function problemOf(issue: z.core.$ZodIssue, at: (path: PropertyKey[]) => string): Problem {
  return { at: at(issue.path), path: issue.path.join('.'), message: complaint(issue) }
}

/** What zod says, as the rest of a sentence. */
export function complaint({ message }: Pick<z.core.$ZodIssue, 'message'>): string {
  return message.replace(/^Invalid input: /, '').replace(/^./, c => c.toLowerCase())
}

/** Everything wrong in the person's files, reported at once. */
export class ClusterFileFault extends Fault {
  readonly problems: Problem[]
  constructor(code: 'cluster-file-invalid' | 'questions-open', problems: Problem[], file: string) {
    const list = problems.map(p => `${p.at} ${p.path}${p.path ? ': ' : ''}${p.message}`).join('\n')
    super({
      code,
      blame: 'operator',
      message:
        code === 'questions-open'
          ? `${file} still has ${problems.length} open question${problems.length === 1 ? '' : 's'}:\n${list}`
          : `${file} cannot be used as it is:\n${list}`,
      remedy:
        code === 'questions-open'
          ? 'Answer each where it stands; the comment beside it says how to find out'
          : 'Mend each place; nothing was changed',
      ...(problems[0] ? { at: problems[0].at } : {}),
    })
    this.problems = problems
  }

  override toJSON() {
    return { ...super.toJSON(), problems: this.problems }
  }
}

/** One thing that is wrong at one place of a file. */
export function wrongAt(at: string, message: string): ClusterFileFault {
  return new ClusterFileFault('cluster-file-invalid', [{ at, path: '', message }], at.replace(/(:\d+)+$/, ''))
}
