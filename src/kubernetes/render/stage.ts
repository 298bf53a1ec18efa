import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { isMap, isNode, isScalar, isSeq, LineCounter, parseDocument } from 'yaml'
import { Fault } from '../../runbook/fault.ts'
import { goYaml } from '../go-yaml.ts'
import { inKit, placeInKit, type RemotePart, remoteOf, showRemote } from './kit.ts'

/** A private copy of a repository in which kustomize may write, with what the kit holds in the place of what is remote. */
export interface Stage {
  /** The kustomization's folder in the copy. */
  folder: string
  /** It has Helm charts, from wherever. */
  charts: boolean
  /** Every remote part that it takes, its own ones and those of the folders that it includes. */
  remote: { part: RemotePart; from: 'repository' | 'kit' | 'network'; at: string; chartsIn: string }[]
}

const fileNames = ['kustomization.yaml', 'kustomization.yml', 'Kustomization']
const kitHere = '.recover-kit'

/** No manifests are as large as images of disks, which people keep beside them; bytes. */
const largestFile = 64 * 2 ** 20

/**
 * Copies what a kustomization can reach into `into`. kustomize writes charts beside the kustomization that names them,
 * and a person's repository is not ours to write into; and only in a copy can URLs be replaced by what the kit holds.
 */
export function stage(folder: string, root: string, into: string, kit: string | undefined): Stage {
  const base = relative(root, folder).startsWith('..') ? folder : root
  cpSync(base, into, {
    recursive: true,
    verbatimSymlinks: true,
    filter: source =>
      !/(^|\/)(\.git|node_modules|\.terraform)$/.test(relative(base, source)) && canBeStaged(source),
  })
  const staged: Stage = { folder: join(into, relative(base, folder)), charts: false, remote: [] }
  visit(staged.folder, into, kit, staged, new Set())
  return staged
}

/** Sockets and pipes cannot be copied. */
function canBeStaged(path: string): boolean {
  const stats = lstatSync(path)
  return stats.isDirectory() || stats.isSymbolicLink() || (stats.isFile() && stats.size <= largestFile)
}

/** Whether a path is in the copy, and not by a link in what it was copied from: that is nothing to write to. */
function isWithin(into: string, path: string): boolean {
  let there = path
  while (!existsSync(there)) there = dirname(there)
  return !relative(realpathSync(into), realpathSync(there)).startsWith('..')
}

function visit(
  folder: string,
  into: string,
  kit: string | undefined,
  staged: Stage,
  seen: Set<string>,
): void {
  if (seen.has(folder)) return
  seen.add(folder)
  const file = fileNames.map(name => join(folder, name)).find(f => existsSync(f))
  if (file === undefined) return
  const lines = new LineCounter()
  const document = parseDocument(readFileSync(file, 'utf8'), { ...goYaml, lineCounter: lines })
  const at = (node: unknown): string => {
    const { line, col } = lines.linePos(isNode(node) ? (node.range?.[0] ?? 0) : 0)
    return `${relative(into, file)}:${line}:${col}`
  }
  let changed = false
  for (const field of ['resources', 'bases', 'components', 'crds']) {
    const list = document.get(field)
    if (!isSeq(list)) continue
    list.items.forEach((node, i) => {
      const entry = list.get(i)
      if (typeof entry !== 'string') return
      const part = remoteOf(entry)
      if (part === undefined) {
        const local = resolve(folder, entry)
        if (existsSync(local) && statSync(local).isDirectory() && isWithin(into, local))
          visit(local, into, kit, staged, seen)
        return
      }
      const from = inKit(kit, part) ? 'kit' : 'network'
      staged.remote.push({ part, from, at: at(node), chartsIn: '' })
      if (from === 'network' || kit === undefined) return
      // A file must lie below the kustomization that names it, a folder may lie anywhere.
      const here = join(part.kind === 'git' ? into : folder, kitHere, placeInKit(part))
      if (!existsSync(here)) {
        mkdirSync(dirname(here), { recursive: true })
        cpSync(join(kit, placeInKit(part)), here, { recursive: true })
      }
      const target = part.kind === 'git' ? join(here, part.path) : here
      list.set(i, relative(folder, target))
      changed = true
      if (part.kind === 'git') visit(target, into, kit, staged, seen)
    })
  }
  const charts = document.get('helmCharts')
  if (isSeq(charts)) {
    staged.charts ||= charts.items.length > 0
    const globals = document.get('helmGlobals')
    const home = isMap(globals) ? globals.get('chartHome') : undefined
    const chartsIn = resolve(folder, typeof home === 'string' ? home : 'charts')
    charts.items.forEach((_, i) => {
      const chart = charts.get(i)
      if (!isMap(chart)) return
      const [name, version, repository] = ['name', 'version', 'repo'].map(key =>
        written(chart.get(key, true)),
      )
      if (name === undefined || name === '' || repository === undefined || repository === '') return
      if (version === undefined || version === '') throw unpinned(name, at(chart))
      const part: RemotePart = { kind: 'chart', name, version, repository }
      const here = join(chartsIn, `${name}-${version}`, name)
      const from = existsSync(join(here, 'Chart.yaml'))
        ? 'repository'
        : inKit(kit, part) && isWithin(into, here)
          ? 'kit'
          : 'network'
      staged.remote.push({ part, from, at: at(chart), chartsIn })
      // kustomize takes a chart that lies at this very place for what the repository would give.
      if (from === 'kit' && kit !== undefined) cpSync(join(kit, placeInKit(part)), here, { recursive: true })
    })
  }
  if (!changed) return
  // The file itself may be a link.
  rmSync(file)
  writeFileSync(file, document.toString())
}

/** A value as text, as kustomize takes it: version 1.10 is none of 1.1. */
function written(node: unknown): string {
  return isScalar(node) ? (node.source ?? String(node.value ?? '')) : ''
}

function unpinned(name: string, at: string): Fault {
  return new Fault({
    code: 'render-unpinned',
    blame: 'operator',
    message: `${at} takes the Helm chart ${name} without a version: what comes of it is another thing every day`,
    remedy: 'Name the version that runs now (helm list) in helmCharts',
    at,
  })
}

/** The remote parts that only the network has, as a person would read them. */
export function fromNetwork(staged: Stage, namedAt?: string): string[] {
  return staged.remote
    .filter(r => r.from === 'network')
    .map(r => `${showRemote(r.part)} (named in ${namedAt ?? r.at})`)
}
