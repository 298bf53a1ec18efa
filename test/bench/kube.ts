import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, loadavg, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { parseAllDocuments, stringify } from 'yaml'
import { connectApi } from '../../src/kubernetes/api.ts'
import { applyAll } from '../../src/kubernetes/apply.ts'
import { goYaml } from '../../src/kubernetes/go-yaml.ts'
import type { KubernetesObject } from '../../src/kubernetes/kubernetes.ts'
import { Deadlines, waiter } from '../../src/runbook/time.ts'
import { startControlPlane } from '../kube/harness/control-plane.ts'
import { type KubeHome, makeHome } from '../kube/harness/home.ts'
import { controlPlane, lacking } from '../kube/harness/parts.ts'
import { live, startHome } from '../kube/harness/recovery.ts'
import makeTemplate from '../kube/harness/template.ts'
import { round } from './bound.ts'
import { memoryOf } from './process-memory.ts'

/**
 * What a recovery costs against `kubectl`, which renders and applies the same and waits for nothing: a thousand objects
 * applied to the real API server (`objects`), the memory that ten thousand rendered ones take (`memory`), and the way from
 * an API that is ready to fifty applications of twenty objects that the real Argo CD has rendered, applied, and calls Synced
 * and Healthy (`argocd`). Run as `dist/test/kube/start.js bench [PART ...]`, all three when none is named; says why it measures
 * nothing where something is missing.
 */
const { values: flags, positionals: parts } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'string' },
    applications: { type: 'string', default: '50' },
    /** How it starts itself for what is measured in a process of its own. */
    apply: { type: 'string', multiple: true },
  },
})
const applications = Number(flags.applications)
const objects = 20

interface Row {
  what: string
  recover: number
  kubectl: number
  ratio: number
}

async function main(): Promise<void> {
  const lack = lacking(
    [...controlPlane, 'kustomize', 'argocd', 'cilium'],
    ['git', 'helm', 'kubectl', 'redis-server'],
  )
  if (lack !== undefined) {
    process.stdout.write(`skipped: ${applications} applications against kubectl: ${lack}\n`)
    return
  }
  await makeTemplate()
  const measured: Record<string, () => Promise<Row[]>> = {
    objects: byObjects,
    memory: byMemory,
    argocd: byArgoCd,
  }
  const rows: Row[] = []
  const beganWith = loadavg()
  process.stdout.write(`${'recover'.padStart(54)}${'kubectl'.padStart(12)}${'ratio'.padStart(9)}\n`)
  for (const [part, measure] of Object.entries(measured)) {
    if (parts.length > 0 && !parts.includes(part)) continue
    for (const row of await measure()) {
      rows.push(row)
      const [recover, kubectl, ratio] = [row.recover, row.kubectl, row.ratio].map(String)
      process.stdout.write(
        `${row.what.padEnd(44)}${recover?.padStart(10)}${kubectl?.padStart(12)}${ratio?.padStart(9)}\n`,
      )
    }
  }
  const result = { node: process.version, cores: availableParallelism(), load: [beganWith, loadavg()], rows }
  const json = `${JSON.stringify(result, null, 2)}\n`
  if (flags.json === undefined) process.stdout.write(`\n${json}`)
  else writeFileSync(flags.json, json)
}

function row(what: string, recover: number, kubectl: number): Row {
  return { what, recover: round(recover), kubectl: round(kubectl), ratio: round(recover / kubectl) }
}

/** The same objects to two fresh control planes, twice: the second time there is nothing to do. */
async function byObjects(): Promise<Row[]> {
  const file = join(mkdtempSync(join(tmpdir(), 'objects-')), 'all.yaml')
  writeFileSync(file, manifestsOf(applications))
  const took = async (apply: (kubeconfig: string) => void) => {
    const plane = await startControlPlane()
    try {
      return [seconds(() => apply(plane.kubeconfig)), seconds(() => apply(plane.kubeconfig))] as const
    } finally {
      await plane.close()
    }
  }
  const theirs = await took(kubeconfig => kubectlApply(kubeconfig, file))
  const ours = await took(kubeconfig =>
    execFileSync(process.execPath, [process.argv[1]!, '--apply', kubeconfig, '--apply', file], {
      stdio: ['ignore', 'ignore', 'inherit'],
    }),
  )
  const count = applications * objects
  return [
    row(`${count} objects applied, s`, ours[0], theirs[0]),
    row(`${count} objects applied again, s`, ours[1], theirs[1]),
  ]
}

/** Applies a file as a part of the bootstrap is applied. */
async function applyFile(kubeconfig: string, file: string): Promise<void> {
  const { writer, close } = connectApi({ kubeconfig })
  const all = parseAllDocuments(readFileSync(file, 'utf8'), goYaml).map(d => d.toJS() as KubernetesObject)
  const { signal } = new AbortController()
  const limit = new Deadlines(signal).begin(600_000, 'Apply')
  await applyAll(writer, all, {
    policy: 'stop',
    hands: {
      note() {},
      progress() {},
      wait: waiter(
        limit,
        signal,
        1,
        () => {},
        () => 180_000,
      ),
    },
  })
  await close()
}

async function byMemory(): Promise<Row[]> {
  return [row('10,000 objects rendered, MiB at most', await peakOf('recover'), await peakOf('kubectl'))]
}

async function byArgoCd(): Promise<Row[]> {
  const theirs = await applied()
  const ours = await released()
  return [
    row('bootstrap, s', ours.bootstrap, theirs.bootstrap),
    row(`${applications} applications of ${objects} objects, s`, ours.applications, theirs.applications),
    row('from API ready to all released, s', ours.all, theirs.bootstrap + theirs.applications),
  ]
}

/** A repository with many applications beside the home's own, none of which owns data. Their names. */
function populate(
  { folder }: KubeHome,
  { count, each, kustomized = false }: { count: number; each: number; kustomized?: boolean },
): string[] {
  const manifest = readFileSync(join(folder, 'argocd/grafana.yaml'), 'utf8')
  const names = Array.from({ length: count }, (_, i) => `bench-${i}`)
  for (const name of names) {
    const place = join(folder, 'applications', name)
    mkdirSync(place)
    writeFileSync(join(folder, 'argocd', `${name}.yaml`), manifest.replaceAll('grafana', name))
    writeFileSync(join(place, 'all.yaml'), textOf(objectsOf(name, each)))
    if (kustomized) writeFileSync(join(place, 'kustomization.yaml'), 'resources: [./all.yaml]\n')
  }
  for (const args of [
    ['add', '-A'],
    ['-c', 'user.name=you', '-c', 'user.email=you@example.net', 'commit', '-qm', 'Many'],
  ])
    execFileSync('git', args, { cwd: folder })
  return names
}

/** Namespaces and what is in them, as one text. */
function manifestsOf(count: number): string {
  const names = Array.from({ length: count }, (_, i) => `bench-${i}`)
  const namespaces = names.map(name => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } }))
  return textOf([...namespaces, ...names.flatMap(name => objectsOf(name))])
}

function textOf(all: readonly object[]): string {
  return all.map(o => stringify(o)).join('---\n')
}

function kubectlApply(kubeconfig: string, file: string): void {
  execFileSync('kubectl', ['apply', '--server-side', '--force-conflicts', '-f', file], {
    env: { PATH: process.env.PATH, HOME: dirname(file), KUBECONFIG: kubeconfig },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
}

function objectsOf(name: string, count = objects): KubernetesObject[] {
  return Array.from({ length: count }, (_, i) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: `part-${i}`, namespace: name },
    data: { text: `${name} ${i} `.repeat(20) },
  }))
}

async function released(): Promise<{ all: number; bootstrap: number; applications: number }> {
  const home = await startHome({
    populate: it => void populate(it, { count: applications, each: objects }),
  })
  try {
    const { end, events, faults } = await live(home, 'begin', { limitMs: 20 * 60_000, pace: 1 })
    if (end !== 0) throw new Error(`the recovery ended with ${end}: ${JSON.stringify(faults)}`)
    const doneAt = (step: RegExp) =>
      Math.max(...events.flatMap(e => (e.code === 'step-done' && step.test(e.step) ? [e.atMs] : [])))
    const ready = doneAt(/^kubernetes\/kubeconfig$/)
    const bootstrapped = doneAt(/^bootstrap\/prove-/)
    const all = doneAt(/^applications\//)
    return {
      all: (all - ready) / 1000,
      bootstrap: (bootstrapped - ready) / 1000,
      applications: (all - bootstrapped) / 1000,
    }
  } finally {
    await home.close()
  }
}

/** The same objects, and the same bootstrap without a wait for anything. */
async function applied(): Promise<{ bootstrap: number; applications: number }> {
  const plane = await startControlPlane({ scheduler: true, kwok: true })
  const folder = mkdtempSync(join(tmpdir(), 'kubectl-'))
  const file = join(folder, 'all.yaml')
  writeFileSync(file, manifestsOf(applications))
  const argocd = join(folder, 'argocd.yaml')
  const home = makeHome()
  writeFileSync(argocd, readFileSync(join(home.folder, 'bootstrap/argocd.yaml')))
  const apply = (path: string) => seconds(() => kubectlApply(plane.kubeconfig, path))
  try {
    const cilium = join(folder, 'cilium.yaml')
    // Without the object whose kind nobody brings here.
    writeFileSync(
      cilium,
      readFileSync(join(home.folder, 'bootstrap/cilium.yaml'), 'utf8').replace(
        /\n---\napiVersion: cilium\.io[\s\S]*$/,
        '\n',
      ),
    )
    const early = apply(cilium)
    let late: number
    try {
      late = apply(argocd)
    } catch {
      // Definitions and what they define in one file: kubectl wants to be asked twice.
      late = apply(argocd)
    }
    return { bootstrap: early + late, applications: apply(file) }
  } finally {
    await plane.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

function seconds(work: () => unknown): number {
  const began = performance.now()
  work()
  return (performance.now() - began) / 1000
}

/**
 * MiB at the peak, in all its processes, while ten thousand objects are rendered: fifty kustomizations of two hundred, since
 * what kustomize takes for one grows with the square of its objects (minutes for ten thousand).
 */
async function peakOf(who: 'recover' | 'kubectl'): Promise<number> {
  const home = makeHome()
  const { folder, file } = home
  const names = populate(home, { count: 50, each: 200, kustomized: true })
  const out = join(folder, 'out')
  mkdirSync(out)
  const kustomize = names.map(name => `kubectl kustomize applications/${name} -o ${out}/${name}.yaml`)
  const command =
    who === 'recover'
      ? [process.execPath, 'bin/run.js', 'render', '--file', file, ...names, '--output', out]
      : ['sh', '-c', `cd ${folder} && ${kustomize.join(' && ')}`]
  const child = spawn(command[0]!, command.slice(1), { stdio: ['ignore', 'ignore', 'inherit'] })
  let peak = 0
  const look = setInterval(() => {
    peak = Math.max(peak, memoryOf(child.pid!).rss)
  }, 50)
  const code = await new Promise(resolve => child.once('exit', resolve))
  clearInterval(look)
  if (code !== 0) throw new Error(`${command.slice(0, 4).join(' ')} … ended with ${code}`)
  const rendered = names.map(name => readFileSync(join(out, `${name}.yaml`), 'utf8')).join('\n')
  const count = rendered.match(/^\s*kind: ConfigMap/gm)?.length ?? 0
  if (count !== 10_000) throw new Error(`${who} rendered ${count} objects`)
  return peak
}

const [kubeconfig, file] = flags.apply ?? []
if (kubeconfig !== undefined && file !== undefined) await applyFile(kubeconfig, file)
else await main()
process.exit(0)
