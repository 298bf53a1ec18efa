import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { expect } from 'vitest'
import { compileButane } from '../../../src/hosts/butane/compile.ts'

/** Folders below `top` that hold an input and what Butane printed for it. */
export function casesIn(top: string): string[] {
  return readdirSync(top).filter(name => existsSync(join(top, name, 'in.bu')))
}

/**
 * Compiles the input of a case with and without `--strict`, and compares config, messages and exit code with what Butane
 * 0.29.0 printed.
 * @param work an empty folder of the test's own, to run in.
 */
export function expectSameAsButane(folder: string, work: string): void {
  cpSync(folder, work, { recursive: true, verbatimSymlinks: true })
  const meta = JSON.parse(read(work, 'meta.json') ?? '{}') as { args?: string[]; executable_files?: string[] }
  restoreFiles(work, meta.executable_files ?? [])
  const withFiles = meta.args?.includes('-d') ?? existsSync(join(work, 'files'))
  for (const strict of [false, true]) {
    const prefix = strict ? 'strict.' : ''
    const wantedExit = read(work, `${prefix}rc`)
    if (wantedExit === undefined) continue
    const result = compileButane(readFileSync(join(work, 'in.bu'), 'utf8'), {
      source: 'in.bu',
      ...(withFiles ? { filesDir: join(work, 'files') } : {}),
      strict,
    })
    // Butane ran in the folder itself.
    const report = result.report.replaceAll(`${work}/`, '')
    expect(report).toBe((read(work, `${prefix}err.txt`) ?? '').replace(/\n$/, ''))
    expect(result.exitCode).toBe(Number(wantedExit))
    const wanted = read(work, 'out.ign')
    if (strict || wanted === undefined) continue
    // Even in its order of keys; packed contents may be packed in another way.
    expect(JSON.stringify(unpacked(result.config))).toBe(JSON.stringify(unpacked(JSON.parse(wanted))))
  }
}

function read(folder: string, name: string): string | undefined {
  const path = join(folder, name)
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined
}

/** Puts back what a copy may have lost: which files are executable, and links that became files with their target. */
function restoreFiles(work: string, executable: string[]): void {
  for (const name of executable) chmodSync(join(work, 'files', name.replace(/^files\//, '')), 0o755)
  const wanted = JSON.parse(read(work, 'out.ign') ?? '{}') as {
    storage?: { links?: { path: string; target?: string }[] }
  }
  const targets = new Set(wanted.storage?.links?.map(l => l.target))
  const visit = (folder: string) => {
    for (const name of existsSync(folder) ? readdirSync(folder) : []) {
      const path = join(folder, name)
      if (lstatSync(path).isSymbolicLink()) continue
      if (statSync(path).isDirectory()) {
        visit(path)
        continue
      }
      const text = readFileSync(path, 'utf8')
      if (!targets.has(text)) continue
      rmSync(path)
      symlinkSync(text, path)
    }
  }
  visit(join(work, 'files'))
}

function unpacked(config: unknown): unknown {
  return JSON.parse(JSON.stringify(config), (_, value: unknown) => {
    if (typeof value !== 'object' || value === null) return value
    const { compression, source } = value as { compression?: string; source?: string }
    const packed = /^data:;base64,(.*)$/.exec(source ?? '')?.[1]
    if (compression !== 'gzip' || packed === undefined) return value
    return { ...value, source: gunzipSync(Buffer.from(packed, 'base64')).toString('base64') }
  })
}
