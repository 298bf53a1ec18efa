import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { Fault } from '../../runbook/fault.ts'
import { hashOf, type Rendering } from './kustomize.ts'
import { parseManifests, printManifests } from './manifests.ts'

const mark = '# recover: '

/**
 * Writes a rendering as a file of manifests that kubectl could apply, with its hash, programs and sources in comments at
 * its top. 0600, since Secrets may be among the objects; renamed into place, so that it is there whole or not at all.
 */
export function keepRendering(file: string, rendering: Rendering): void {
  const { objects, sha256, tools, remote } = rendering
  const head = JSON.stringify({ sha256, tools, remote })
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  writeFileSync(`${file}.new`, `${mark}${head}\n${printManifests(objects)}`, { mode: 0o600, flush: true })
  renameSync(`${file}.new`, file)
}

/**
 * Reads it again, or undefined when it is not there. Fault `rendering-changed` when its objects are not those that its
 * head promises: somebody edited it.
 */
export function readKept(file: string): Rendering | undefined {
  if (!existsSync(file)) return undefined
  const text = readFileSync(file, 'utf8')
  const [first = ''] = text.split('\n', 1)
  const objects = parseManifests(text, file)
  const head = headOf(first)
  if (head !== undefined && head.sha256 === hashOf(objects)) return { ...head, objects }
  throw new Fault({
    code: 'rendering-changed',
    blame: 'operator',
    message: `${file} is not what was rendered into it`,
    remedy: 'Delete it: it is rendered again. To change what is applied, change the kustomization instead',
    at: file,
  })
}

function headOf(line: string): Omit<Rendering, 'objects'> | undefined {
  if (!line.startsWith(mark)) return undefined
  try {
    return JSON.parse(line.slice(mark.length)) as Omit<Rendering, 'objects'>
  } catch {
    return undefined
  }
}
