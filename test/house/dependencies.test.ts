// Before @peculiar/x509, which needs it and does not load without.
import 'reflect-metadata'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { importsOf, root, sourceFiles, textOf } from './source.ts'

interface PackageJson {
  dependencies: Record<string, string>
  devDependencies: Record<string, string>
  engines: { node: string }
}

const { dependencies, devDependencies, engines } = JSON.parse(textOf(root, 'package.json')) as PackageJson
const exact = /^\d+\.\d+\.\d+$/

test('versions are exact', () => {
  const loose = Object.entries({ ...dependencies, ...devDependencies }).filter(([, v]) => !exact.test(v))
  expect(loose).toEqual([])
})

test.each(Object.keys(dependencies))('%s loads on this Node, in the version of package.json', async name => {
  const own = JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8')) as {
    version: string
  }
  expect(own.version).toBe(dependencies[name])
  const loaded: object = await import(name)
  // reflect-metadata adds to Reflect and exports nothing.
  if (name === 'reflect-metadata') expect(Reflect).toHaveProperty('getMetadata')
  else expect(Object.keys(loaded)).not.toEqual([])
})

test('nothing installed wants a newer Node than we do', () => {
  const [, major, minor] = /(\d+)\.(\d+)/.exec(engines.node) ?? []
  const lock = JSON.parse(textOf(root, 'package-lock.json')) as {
    packages: Record<string, { dev?: boolean; optional?: boolean; engines?: { node?: string } }>
  }
  const wrong = Object.entries(lock.packages).filter(([path, p]) => {
    // The lowest version of each range joined by ||; the lowest of all is what the package runs on.
    const lowest = (p.engines?.node ?? '')
      .split('||')
      .map(range => /(\d+)(?:\.(\d+))?/.exec(range))
      .flatMap(m => (m ? [Number(m[1]) * 1000 + Number(m[2] ?? 0)] : []))
    const wants = lowest.length === 0 ? 0 : Math.min(...lowest)
    return path !== '' && !p.dev && !p.optional && wants > Number(major) * 1000 + Number(minor)
  })
  expect(wrong.map(([path, p]) => `${path} wants ${p.engines?.node}`)).toEqual([])
})

describe('docs/dependencies.md', () => {
  const [, runtime = '', developing = ''] = textOf(root, 'docs/dependencies.md').split(/^## .*$/m)
  const named = (section: string) => {
    const rows = [...section.matchAll(/^\| (`[^|]*) \| (.+) \|$/gm)]
    expect(rows.filter(r => r[2]!.length < 5)).toEqual([])
    return rows.flatMap(r => [...r[1]!.matchAll(/`([^`]+)`/g)].map(m => m[1]!)).sort()
  }

  test('names every package that the program needs, and why', () => {
    expect(named(runtime)).toEqual(Object.keys(dependencies).sort())
  })

  test('names every package that developers need, and why', () => {
    expect(named(developing)).toEqual(Object.keys(devDependencies).sort())
  })
})

test('every runtime package is used', () => {
  const used = new Set(sourceFiles(root).flatMap(path => importsOf(root, path).map(i => i.to)))
  // oclif loads its plug-ins by the name that package.json tells it.
  const plugins =
    (JSON.parse(textOf(root, 'package.json')) as { oclif: { plugins?: string[] } }).oclif.plugins ?? []
  const idle = Object.keys(dependencies).filter(name => !used.has(name) && !plugins.includes(name))
  expect(idle).toEqual([])
})
