import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parse } from 'yaml'
import { Fault } from '../runbook/fault.ts'
import { draft } from './init-draft.ts'
import { addressOf } from './init-findings.ts'
import { answer, type Question, questionsOf } from './init-questions.ts'
import { type Applications, readSources } from './init-sources.ts'
import type { Claim, Inventory } from './inventory.ts'
import { loadCluster } from './load.ts'
import { ClusterFileFault, type Problem } from './problem.ts'
import { shortest } from './show-init.ts'

export { answer, parseAnswers } from './init-questions.ts'
export { showInit } from './show-init.ts'

export interface InitOptions {
  /** Root of the GitOps repository; only ever read. */
  repository: string
  /** The cluster file to write. */
  output: string
  /** k0sctl.yaml; found in the repository when not given. */
  k0sctl?: string | undefined
  /** Whether a file that is there may be replaced. */
  force?: boolean
  /** Dotted path of a question to its answer. */
  answers?: Record<string, string>
  env?: NodeJS.ProcessEnv
}

/** What {@link init} found and wrote. */
export interface InitResult {
  /** Absolute path of the file that was written. */
  file: string
  /** What is still open, in the order of the file. */
  questions: Question[]
  /** What is wrong with the file as it is, apart from open questions: a wrong answer, most often. */
  problems: Problem[]
  hosts: { name: string; role: string; address: string | undefined }[]
  claims: Claim[]
  applications: Applications
  remote: Inventory['remote']
  missing: Inventory['missing']
  /** Address of the NAS; undefined while that is a question. */
  nas: string | undefined
}

/**
 * Puts further answers into the file that {@link init} wrote, as it is now. Throws Faults `init-no-such-question` and
 * `init-cannot-write`.
 */
export function answerFurther(
  result: InitResult,
  answers: Record<string, string>,
  env: NodeJS.ProcessEnv = process.env,
): InitResult {
  const text = answer(readFileSync(result.file, 'utf8'), answers)
  write(result.file, text, { output: result.file, force: true })
  const questions = questionsOf(text, shortest(result.file))
  return { ...result, questions, problems: problemsIn(result.file, questions, env) }
}

/**
 * Reads a person's k0sctl.yaml and GitOps repository as they are and writes a cluster file in which everything that
 * they say is derived and everything else is a question. Writes that one file and changes nothing else.
 * Throws Faults `init-would-overwrite`, `init-no-repository`, `init-no-k0sctl`, `init-which-k0sctl`,
 * `init-hosts-alike`, `init-no-such-question`, `init-cannot-write`, and {@link ClusterFileFault} when a file of the
 * person's cannot be read.
 */
export function init(options: InitOptions): InitResult {
  const env = options.env ?? process.env
  const file = resolve(options.output)
  if (existsSync(file) && !options.force) throw wouldOverwrite(options.output)
  const sources = readSources(options, file, env)
  const text = answer(draft(sources), options.answers ?? {})
  write(file, text, options)
  const questions = questionsOf(text, shortest(file))
  return {
    file,
    questions,
    problems: problemsIn(file, questions, env),
    hosts: sources.k0sctl.hosts.map(host => {
      const address = addressOf(host)
      return { name: host.name, role: host.role, address: 'value' in address ? address.value : undefined }
    }),
    claims: sources.inventory.claims,
    applications: sources.applications,
    remote: sources.inventory.remote,
    missing: sources.inventory.missing,
    nas: nasIn(text),
  }
}

function nasIn(text: string): string | undefined {
  const { nas } = parse(text) as { nas?: { synology?: unknown } }
  return typeof nas?.synology === 'string' && nas.synology.startsWith('https://') ? nas.synology : undefined
}

function write(file: string, text: string, { output, force }: Pick<InitOptions, 'output' | 'force'>): void {
  try {
    // `wx` refuses by itself what came into being since the first look.
    writeFileSync(file, text, { flag: force ? 'w' : 'wx' })
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') throw wouldOverwrite(output)
    throw new Fault({
      code: 'init-cannot-write',
      blame: 'operator',
      message: `${output} cannot be written: ${(cause as NodeJS.ErrnoException).code}`,
      remedy: 'Name a file in a folder that is there and that you may write to, with --output FILE',
      cause,
    })
  }
}

function wouldOverwrite(output: string): Fault {
  return new Fault({
    code: 'init-would-overwrite',
    blame: 'operator',
    message: `${output} is there already; answers in it would be lost`,
    remedy: 'Edit it, or write another file with --output FILE, or replace it with --force',
  })
}

function problemsIn(file: string, questions: Question[], env: NodeJS.ProcessEnv): Problem[] {
  try {
    loadCluster(file, env)
    return []
  } catch (thrown) {
    if (!(thrown instanceof ClusterFileFault)) throw thrown
    return thrown.problems.filter(p => !questions.some(q => q.path === p.path))
  }
}
