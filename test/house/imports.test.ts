import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { filesBelow, type Import, importsOf, root, sourceFiles, textOf, tokens } from './source.ts'

/** One import as these rules see it. */
interface Arrow extends Import {
  from: string
}

const arrows: Arrow[] = sourceFiles(root).flatMap(from => importsOf(root, from).map(i => ({ ...i, from })))

/** `src/hosts/ssh.ts` gives `hosts`; undefined outside src. */
function partOf(path: string | undefined): string | undefined {
  return path === undefined ? undefined : /^src\/([^/]+)\//.exec(path)?.[1]
}

function show(wrong: Arrow[]): string[] {
  return wrong.map(a => `${a.from}:${a.line} imports ${a.to ?? 'something computed'} (${a.kind})`)
}

const isPackage = (to: string | undefined) =>
  to !== undefined && !to.startsWith('node:') && !to.includes('.ts')

/** The table of docs/architecture.md: what each part of src may import of the others. */
function drawn(): Map<string, string[]> {
  const [, below = ''] = textOf(root, 'docs/architecture.md').split('| In `src` |')
  const [table = ''] = below.split('\n\n')
  const rows = table.matchAll(/^\| `(\w+)` \|([^|]*)\|[^|]*\|$/gm)
  return new Map([...rows].map(r => [r[1]!, [...r[2]!.matchAll(/`([^`]+)`/g)].map(m => m[1]!)]))
}

describe('the walk sees', () => {
  test('every way of importing', () => {
    const folder = mkdtempSync(join(tmpdir(), 'recover-house-'))
    try {
      writeFileSync(
        join(folder, 'all.ts'),
        [
          "import 'side-effect'",
          "import one, { type Two } from './one.ts'",
          "import type { Three } from '@scope/three/deep'",
          "export { four } from './four.ts'",
          "export type * from './five.ts'",
          "const six = await import('six')",
          // biome-ignore lint/suspicious/noTemplateCurlyInString: it is code
          'const seven = await import(`seven${one}`)',
          "const eight: typeof import('eight') = six",
          "fork(new URL('./nine.js', import.meta.url))",
          "// import 'comment'",
          // biome-ignore lint/suspicious/noTemplateCurlyInString: it is code
          "const text = \"import 'string'\" + `import 'template' ${`from '${one}'`}`",
          'const pattern = /import \'pattern\'[/"]/.test(text) // from "here"',
          "import {\n  ten,\n} from './ten.ts'",
        ].join('\n'),
      )
      expect(importsOf(folder, 'all.ts').map(i => `${i.kind} ${i.to}`)).toEqual([
        'static side-effect',
        'static one.ts',
        'types @scope/three',
        'static four.ts',
        'types five.ts',
        'dynamic six',
        'dynamic undefined',
        'types eight',
        'place nine.js',
        'static ten.ts',
      ])
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  test('files that are there', () => {
    const files = new Set(filesBelow(root))
    // What the build makes is not there before it.
    const wrong = arrows.filter(a => a.to?.endsWith('.ts') && !files.has(a.to))
    expect(show(wrong)).toEqual([])
    expect(arrows.length).toBeGreaterThan(200)
  })
})

test('no import is computed, so that all of them can be seen', () => {
  expect(show(arrows.filter(a => a.to === undefined && !a.from.startsWith('bin/')))).toEqual([])
})

test('commands import runbooks, src/cli, src/views, and one more part of src', () => {
  for (const command of filesBelow(root, ['commands'])) {
    const own = arrows.filter(a => a.from === command && a.to?.endsWith('.ts'))
    const packages = arrows.filter(a => a.from === command && isPackage(a.to) && a.to !== '@oclif/core')
    expect(show(packages)).toEqual([])
    const wrong = own.filter(a => !/^(?:runbooks|src|commands)\//.test(a.to ?? ''))
    expect(show(wrong)).toEqual([])
    const mayUse = (a: Arrow) =>
      ['cli', 'views'].includes(partOf(a.to) ?? 'cli') ||
      a.to === 'src/runbook/fault.ts' ||
      a.kind === 'types'
    const calls = new Set(own.filter(a => !mayUse(a)).map(a => partOf(a.to)))
    expect(calls.size, `${command} calls into more than one part of src`).toBeLessThanOrEqual(1)
  }
  expect(
    show(arrows.filter(a => a.to?.startsWith('commands/') && !/^(?:commands|bin)\//.test(a.from))),
  ).toEqual([])
})

test('runbooks import domains and the engine, and print nothing', () => {
  const own = arrows.filter(a => a.from.startsWith('runbooks/'))
  expect(show(own.filter(a => ['cli', 'views'].includes(partOf(a.to) ?? '')))).toEqual([])
  expect(show(arrows.filter(a => a.from.startsWith('src/') && a.to?.startsWith('runbooks/')))).toEqual([])
  expect(show(own.filter(a => isPackage(a.to) && a.to !== 'zod'))).toEqual([])
})

test('the engine imports itself and zod', () => {
  const wrong = arrows.filter(
    a =>
      a.from.startsWith('src/runbook/') &&
      !(a.to?.startsWith('src/runbook/') || a.to?.startsWith('node:') || a.to === 'zod'),
  )
  expect(show(wrong)).toEqual([])
})

describe('parts of src import each other as docs/architecture.md says', () => {
  const table = drawn()
  const between = arrows.filter(
    a => a.from.startsWith('src/') && a.to?.startsWith('src/') && partOf(a.from) !== partOf(a.to),
  )
  const rowOf = (a: Arrow) =>
    table.get(partOf(a.from) ?? '')?.find(to => a.to === `src/${to}` || partOf(a.to) === to)
  /** What every part has of the engine: its errors and its words. */
  const ofTheEngine = (a: Arrow) =>
    a.to === 'src/runbook/fault.ts' || (a.to?.startsWith('src/runbook/') && a.kind === 'types')

  test('every part stands in it', () => {
    const parts = new Set(sourceFiles(root, ['src']).map(partOf))
    parts.delete('runbook')
    for (const part of parts) expect(table.has(part ?? ''), `src/${part} is not in the table`).toBe(true)
    for (const part of table.keys()) expect(parts.has(part), `there is no src/${part}`).toBe(true)
  })

  test('no arrow is missing in it', () => {
    expect(show(between.filter(a => !ofTheEngine(a) && rowOf(a) === undefined))).toEqual([])
  })

  test('no arrow in it is unused', () => {
    for (const [part, targets] of table)
      for (const to of targets) {
        const used = between.some(a => partOf(a.from) === part && rowOf(a) === to)
        expect(used, `nothing in src/${part} imports ${to} any more; take it out of the table`).toBe(true)
      }
  })
})

test('only rehearsals and tests import the lab', () => {
  const mayEnter = /^(?:src\/lab\/|runbooks\/(?:rehearse|lab)\.ts$|runbooks\/rehearsal\/)/
  expect(show(arrows.filter(a => partOf(a.to) === 'lab' && !mayEnter.test(a.from)))).toEqual([])
})

test('only src/views writes to the terminal', () => {
  // Programs of their own, which stand in the place of others and talk as those do.
  const ownProgram = /^src\/lab\/(?:k0sctl|ipmitool)\//
  const wrong = sourceFiles(root, ['commands', 'runbooks', 'src'])
    .filter(path => partOf(path) !== 'views' && !ownProgram.test(path))
    .flatMap(path => {
      const words = tokens(textOf(root, path)).filter(t => t.kind !== 'comment')
      return words
        .filter(
          (t, i) =>
            t.kind === 'word' &&
            (t.text === 'console' || /^(?:stdout|stderr)$/.test(t.text)) &&
            (t.text === 'console' ? words[i + 1]?.text === '.' : words[i - 2]?.text === 'process'),
        )
        .map(t => `${path}:${t.line} writes to ${t.text}`)
    })
  expect(wrong).toEqual([])
})

test('only src/kubernetes/kubeconfig.ts imports @kubernetes/client-node, and is imported only when it is used', () => {
  const only = 'src/kubernetes/kubeconfig.ts'
  expect(show(arrows.filter(a => a.to === '@kubernetes/client-node' && a.from !== only))).toEqual([])
  const own = arrows.filter(a => a.to === only)
  expect(show(own.filter(a => a.kind !== 'dynamic'))).toEqual([])
  expect(own.map(a => a.from)).toEqual(['src/kubernetes/api-line.ts'])
})

test('listr2 and age-encryption, slow to load, are imported only when they are used', () => {
  const slow = new Set(['listr2', 'age-encryption'])
  expect(show(arrows.filter(a => slow.has(a.to ?? '') && a.kind === 'static'))).toEqual([])
})

test('every package that is imported is a dependency, and none that only developers have', () => {
  const { dependencies } = JSON.parse(textOf(root, 'package.json')) as {
    dependencies: Record<string, string>
  }
  const wrong = arrows.filter(
    a =>
      !a.from.endsWith('.mjs') &&
      isPackage(a.to) &&
      a.kind !== 'place' &&
      a.kind !== 'types' &&
      !a.to?.endsWith('.js') &&
      !a.to?.endsWith('.json') &&
      dependencies[a.to ?? ''] === undefined,
  )
  expect(show(wrong)).toEqual([])
})

test.each(['--help', 'rehearse --help', 'resume --help', 'init --help'])(
  'recover %s loads no client library and no command',
  async line => {
    const folder = mkdtempSync(join(tmpdir(), 'recover-house-'))
    try {
      const log = join(folder, 'loaded')
      writeFileSync(log, '')
      const hooks = join(folder, 'hooks.mjs')
      writeFileSync(
        hooks,
        `import { appendFileSync } from 'node:fs'
export async function load(url, context, next) {
  appendFileSync(${JSON.stringify(log)}, url + '\\n')
  return next(url, context)
}
`,
      )
      const register = join(folder, 'register.mjs')
      writeFileSync(
        register,
        `import { register } from 'node:module'\nregister(${JSON.stringify(pathToFileURL(hooks).href)})\n`,
      )
      const { stdout } = await promisify(execFile)(
        process.execPath,
        ['--import', pathToFileURL(register).href, join(root, 'bin/run.js'), ...line.split(' ')],
        { env: { ...process.env, NO_COLOR: '1' } },
      )
      expect(stdout).toContain('USAGE')
      const loaded = readFileSync(log, 'utf8').split('\n')
      expect(loaded.some(url => url.endsWith('/dist/bundle/recover.js'))).toBe(true)
      const heavy =
        /node_modules\/(?:@kubernetes|ssh2|listr2|execa|age-encryption|@peculiar|pino)\/|\/command-[^/]+\.js$/
      expect(loaded.filter(url => heavy.test(url))).toEqual([])
      // What is bundled has no folder of its own: the size tells.
      const bytes = loaded
        .filter(url => url.includes('/dist/bundle/'))
        .reduce((sum, url) => sum + statSync(fileURLToPath(url)).size, 0)
      expect(bytes).toBeLessThan(1_000_000)
    } finally {
      rmSync(folder, { recursive: true })
    }
  },
)
