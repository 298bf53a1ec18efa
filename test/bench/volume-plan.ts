import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Plan } from '../../src/runbook/plan.ts'

/** What planning takes, process and all: once for each round. */
export interface VolumePlanTimes {
  count: number
  /** Steps of recover's plan. */
  entries: number
  ours: Taken[]
  theirs: Taken[]
}

/** Seconds by the clock, and of all cores together. */
export interface Taken {
  clock: number
  processor: number
}

const openTofu = { module: 'github.com/opentofu/opentofu', version: 'v1.12.6' }

/**
 * The plan of a recovery with `count` volumes against OpenTofu's plan of as many `terraform_data` resources, in turns. A text
 * says why nothing is measured. OpenTofu is made from its Go module when it is not in the cache yet, which takes an hour of
 * one core.
 */
export function measureVolumePlan(count: number, rounds: number): VolumePlanTimes | string {
  const tofu = tofuAt()
  if (typeof tofu !== 'object') return tofu
  const folder = mkdtempSync(join(tmpdir(), 'recover-bench-plan-'))
  try {
    writeFileSync(
      join(folder, 'main.tf'),
      `resource "terraform_data" "volume" {\n  count = ${count}\n  input = "claim-\${count.index}"\n}\n`,
    )
    // Neither asks anybody anything: terraform_data is OpenTofu's own.
    must(tofu.path, ['init', '-input=false', '-no-color'], folder)
    const times: VolumePlanTimes = { count, entries: 0, ours: [], theirs: [] }
    for (let round = 0; round < rounds; round += 1) {
      const child = fileURLToPath(new URL('../../bundle/volume-plan-child.js', import.meta.url))
      times.ours.push(must(process.execPath, [child, String(count), folder], folder).taken)
      times.entries = checked(join(folder, 'plan.json'), count)
      const theirs = must(tofu.path, ['plan', '-input=false', '-no-color', '-out=plan'], folder)
      if (!theirs.stdout.includes(`Plan: ${count} to add`))
        throw new Error(`OpenTofu plans something else: ${theirs.stdout.slice(-300)}`)
      times.theirs.push(theirs.taken)
    }
    return times
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** How many steps a plan has, in which every volume has what a recovery does with it. */
function checked(file: string, count: number): number {
  const { entries } = JSON.parse(readFileSync(file, 'utf8')) as Plan
  for (const step of ['protect/snapshot', 'protect/fence', 'volumes/measure', 'volumes/adopt']) {
    const due = entries.filter(e => e.step.startsWith(`${step}[`) && e.state === 'due').length
    if (due !== count) throw new Error(`${due} of ${count} volumes have ${step} to do`)
  }
  return entries.length
}

/** OpenTofu's program, or why there is none. */
function tofuAt(): { path: string } | string {
  const { module, version } = openTofu
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'recover-ci')
  const path = join(cache, `opentofu-${version}`, 'tofu')
  if (existsSync(path)) return { path }
  if (spawnSync('go', ['version']).status !== 0) return 'there is no OpenTofu, and no Go to make it with'
  mkdirSync(cache, { recursive: true })
  const work = mkdtempSync(join(cache, 'opentofu-'))
  try {
    process.stdout.write(`making OpenTofu ${version} from its Go module …\n`)
    const found = spawnSync('go', ['mod', 'download', '-json', `${module}@${version}`], {
      cwd: work,
      encoding: 'utf8',
    })
    if (found.status !== 0) return `there is no OpenTofu, and its Go module cannot be had: ${found.stderr}`
    // Its go.mod replaces a module, which `go install` of a version does not take: it is built where it lies.
    const { Dir } = JSON.parse(found.stdout) as { Dir: string }
    const flags = ['-trimpath', '-mod=readonly', '-ldflags', '-s -w', '-o', join(work, 'tofu'), './cmd/tofu']
    const built = spawnSync('nice', ['-n', '19', 'go', 'build', ...flags], {
      cwd: Dir,
      env: { ...process.env, CGO_ENABLED: '0', GOFLAGS: '' },
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    })
    if (built.status !== 0) return `there is no OpenTofu, and it cannot be built: ${built.stderr.slice(-500)}`
    // There whole or not at all.
    mkdirSync(join(path, '..'), { recursive: true })
    renameSync(join(work, 'tofu'), path)
    return { path }
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

function must(program: string, args: string[], cwd: string): { stdout: string; taken: Taken } {
  const began = performance.now()
  // Node does not tell what another process has used. The shell does, of itself and then of its children.
  const script = '"$@"; ended=$?; times >&2; exit $ended'
  const { status, stdout, stderr } = spawnSync('sh', ['-c', script, 'sh', program, ...args], {
    cwd,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  })
  if (status !== 0) throw new Error(`${program} ended with ${status}: ${stderr}`)
  return { stdout, taken: { clock: (performance.now() - began) / 1000, processor: processorIn(stderr) } }
}

/** Seconds in the last line of `times`: `0m1.850000s 0m0.300000s`, of the children themselves and of the kernel for them. */
function processorIn(told: string): number {
  const last = /(\d+)m([\d.]+)s (\d+)m([\d.]+)s\s*$/.exec(told)
  if (!last) throw new Error(`the shell does not tell what was used: ${told}`)
  const [minutes = 0, seconds = 0, kernelMinutes = 0, kernelSeconds = 0] = last.slice(1).map(Number)
  return (minutes + kernelMinutes) * 60 + seconds + kernelSeconds
}
