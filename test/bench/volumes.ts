import { spawnSync } from 'node:child_process'
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { copyProgram, parseCopyVerdict } from '../../src/volumes/programs.ts'
import { measureVolumePlan, type Taken, type VolumePlanTimes } from './volume-plan.ts'

/**
 * A copy with its verification, by the program that recover runs in Jobs, against what a person would type: `rsync -aHAXS`
 * and then `rsync -c`; and the plan for many volumes against OpenTofu's. Run as dist/test/bench/volumes.js; says why it
 * measures nothing where rsync or OpenTofu is missing.
 */
const { values: flags } = parseArgs({
  options: {
    json: { type: 'string' },
    /** Small files; each has 24 KiB. 0 copies nothing. */
    files: { type: 'string', default: '20000' },
    /** Large files of 1 GiB each, of which 140 MiB are data and the rest holes. */
    sparse: { type: 'string', default: '4' },
    /** Volumes that are planned; 0 plans none. */
    volumes: { type: 'string', default: '10000' },
    /** How often each is measured, in turns; the best counts. */
    rounds: { type: 'string', default: '3' },
    /** Where source and destination lie. */
    dir: { type: 'string', default: tmpdir() },
  },
})
const everything = ['-aHAXS', '--numeric-ids']
const best = (all: number[]) => Math.min(...all)
const show = (all: number[]) => all.map(s => s.toFixed(1)).join(', ')

function main(): void {
  const copies = Number(flags.files) > 0 ? measureCopies() : undefined
  const plan = Number(flags.volumes) > 0 ? measurePlan() : undefined
  const json = `${JSON.stringify({ node: process.version, ...copies, ...(plan ? { plan } : {}) }, null, 2)}\n`
  if (flags.json === undefined) process.stdout.write(`\n${json}`)
  else writeFileSync(flags.json, json)
}

function measurePlan(): (VolumePlanTimes & { ratio: Taken }) | undefined {
  const times = measureVolumePlan(Number(flags.volumes), Number(flags.rounds))
  if (typeof times === 'string') {
    process.stdout.write(`skipped: plans against OpenTofu: ${times}\n`)
    return undefined
  }
  const { count, entries, ours, theirs } = times
  const by = (what: keyof Taken) => (taken: Taken) => taken[what]
  const ratioBy = (what: keyof Taken) =>
    Math.round((best(theirs.map(by(what))) / best(ours.map(by(what)))) * 100) / 100
  const ratio: Taken = { clock: ratioBy('clock'), processor: ratioBy('processor') }
  const line = (who: string, all: Taken[]) =>
    `${who}  ${show(all.map(by('processor')))} s of processor time, ${show(all.map(by('clock')))} s by the clock\n`
  process.stdout.write(
    `Plan for ${count} volumes, ${availableParallelism()} cores\n` +
      line(`recover, a whole recovery, ${entries} steps`, ours) +
      line(`tofu plan, ${count} terraform_data       `, theirs) +
      `best against best: recover takes ${ratio.processor} times less processor time, and is ${ratio.clock} times as fast\n`,
  )
  return { ...times, ratio }
}

function measureCopies() {
  if (spawnSync('rsync', ['--version']).status !== 0) {
    process.stdout.write('skipped: copies against rsync: it is not installed\n')
    return undefined
  }
  const folder = mkdtempSync(join(flags.dir, 'recover-bench-'))
  try {
    const source = join(folder, 'source')
    const bytes = fill(source, Number(flags.files), Number(flags.sparse))
    // Both find the source in memory.
    must('rsync', [...everything, `${source}/`, `${join(folder, 'warm')}/`])
    rmSync(join(folder, 'warm'), { recursive: true })
    const ours: number[] = []
    const theirs: number[] = []
    for (let round = 0; round < Number(flags.rounds); round += 1) {
      ours.push(timed(folder, to => copyByRecover(folder, source, to)))
      theirs.push(timed(folder, to => copyByHand(source, to)))
    }
    return tell({ bytes, ours, theirs })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Seconds that a copy into a fresh destination takes. */
function timed(folder: string, copy: (to: string) => void): number {
  const to = join(folder, 'destination')
  mkdirSync(to)
  spawnSync('sync')
  const began = performance.now()
  copy(to)
  const seconds = (performance.now() - began) / 1000
  rmSync(to, { recursive: true })
  return seconds
}

function copyByRecover(folder: string, from: string, to: string): void {
  const verdict = join(folder, 'verdict')
  const environment = { ...process.env, SRC: from, DST: to, RUN: 'bench', VERDICT: verdict }
  must('sh', ['-c', copyProgram], environment)
  const counted = parseCopyVerdict(readFileSync(verdict, 'utf8'))
  if (counted?.files !== Number(flags.files) + Number(flags.sparse))
    throw new Error(`the verdict is ${readFileSync(verdict, 'utf8')}`)
}

function copyByHand(from: string, to: string): void {
  must('rsync', [...everything, `${from}/`, `${to}/`])
  const left = must('rsync', [...everything, '-c', '--dry-run', '--itemize-changes', `${from}/`, `${to}/`])
  if (left !== '') throw new Error(`the copy by hand differs: ${left}`)
  // As ours does before it says that all is there.
  must('sync', [])
}

function must(program: string, args: string[], env: NodeJS.ProcessEnv = process.env): string {
  const { status, stdout, stderr } = spawnSync(program, args, {
    env,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  })
  if (status !== 0) throw new Error(`${program} ended with ${status}: ${stderr}`)
  return stdout
}

/** Makes the source; returns its bytes of data. */
function fill(source: string, files: number, sparse: number): number {
  const small = Buffer.alloc(24 * 1024)
  for (let i = 0; i < files; i += 1) {
    const folder = join(source, `d${i % 97}`, `e${i % 11}`)
    if (i < 97 * 11) mkdirSync(folder, { recursive: true })
    small.writeUInt32LE(i, (i * 4) % small.length)
    writeFileSync(join(folder, `f${i}`), small)
  }
  const chunk = Buffer.alloc(2 ** 20)
  for (let i = 0; i < sparse; i += 1) {
    const fd = openSync(join(source, `sparse-${i}`), 'w')
    for (let at = 0; at < 140; at += 1) {
      chunk.fill(at + i + 1)
      writeSync(fd, chunk, 0, chunk.length, at * 7 * 2 ** 20)
    }
    closeSync(fd)
    must('truncate', ['-s', '1G', join(source, `sparse-${i}`)])
  }
  return files * small.length + sparse * 140 * chunk.length
}

function tell({ bytes, ours, theirs }: { bytes: number; ours: number[]; theirs: number[] }) {
  const ratio = Math.round((best(ours) / best(theirs)) * 100) / 100
  process.stdout.write(
    `Copy with verification, ${Math.round(bytes / 2 ** 20)} MiB in ${flags.files} small files and ${flags.sparse} sparse ones, ${availableParallelism()} cores, ${flags.dir}\n` +
      `recover's program                    ${show(ours)} s\n` +
      `rsync -aHAXS, then rsync -c, sync    ${show(theirs)} s\n` +
      `best against best: ${ratio} x\n`,
  )
  return { bytes, files: Number(flags.files), ours, theirs, ratio }
}

main()
