import { basename, extname } from 'node:path'
import { describe, expect, test } from 'vitest'
import { filesBelow, root, sourceFiles, type Token, textOf, tokens } from './source.ts'

const binary = new Set([
  '.bz2',
  '.gz',
  '.zst',
  '.xz',
  '.img',
  '.iso',
  '.png',
  '.jpg',
  '.ico',
  '.woff2',
  '.db',
  '.age',
])
const texts = filesBelow(root).filter(path => !binary.has(extname(path)) && path !== 'package-lock.json')

test('a file is named by its intent', () => {
  const shapeless = /^(?:utils?|helpers?|commons?|managers?|misc|shared|lib|base|core|types|index)$/
  const wrong = filesBelow(root, ['bin', 'commands', 'runbooks', 'src', 'test']).filter(path =>
    path.split('/').some(part => shapeless.test(part.replace(/\..*$/, ''))),
  )
  expect(wrong).toEqual([])
})

test('names of files are kebab-case', () => {
  const wrong = sourceFiles(root, ['bin', 'commands', 'runbooks', 'src', 'test']).filter(
    path => !/^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.test)?\.(?:ts|js|mjs)$/.test(basename(path)),
  )
  expect(wrong).toEqual([])
})

describe('no text speaks of how it came about', () => {
  // Written with classes of one letter, so that this file does not find itself.
  test.each<[string, RegExp]>([
    ['paths of one machine', /(?<![\w.~-])\/(?:w[o]rk|r[o]ot|home\/[a-z]+\/recover|tmp\/b[r]iefs)\//],
    ['numbers of tickets', /(?<![\w/])(?:iss[u]e|tick[e]t|t[a]sk|PR) #?\d+\b/i],
    [
      'the days of work',
      /\b(?:previous|next|earlier|later|last|future|coding|working|agent|AI|parallel) sessi[o]ns?\b/i,
    ],
    [
      'who wrote it',
      /\b(?:Cl[a]ude|Chat[G]PT|Co[p]ilot|sub-?ag[e]nts?|language m[o]dels?|L[L]Ms?|as an A[I])\b/,
    ],
    ['instructions to its writer', /\b(?:house r[u]les? of the task|your t[a]sk|the b[r]ief|DESI[G]N\.md)\b/],
    ['work that is left', /\b(?:TO[D]O|FIX[M]E|X[X]X|HA[C]K)\b/],
  ])('%s', (_, pattern) => {
    const found = texts.flatMap(path =>
      textOf(root, path)
        .split('\n')
        .flatMap((line, i) => (pattern.test(line) ? [`${path}:${i + 1}: ${line.trim().slice(0, 120)}`] : [])),
    )
    expect(found).toEqual([])
  })
})

test('no text of ours has blanks at the end of a line or lacks the last newline', () => {
  const wrong = texts
    .filter(path => /\.(?:ts|js|mjs|md|json)$/.test(path))
    .filter(path => {
      const text = textOf(root, path)
      return text !== '' && (!text.endsWith('\n') || /[ \t]\n/.test(text))
    })
  expect(wrong).toEqual([])
})

test('what src exports is documented', () => {
  const missing = sourceFiles(root, ['src', 'runbooks']).flatMap(path =>
    undocumented(tokens(textOf(root, path))).map(({ text, line }) => `${path}:${line} ${text}`),
  )
  expect(missing, 'exported functions and classes without a docstring').toEqual([])
})

/** Names of exported functions, classes and constant functions that no `/**` precedes. */
function undocumented(all: Token[]): Token[] {
  const documented = new Set<string>()
  return all.flatMap((token, i) => {
    if (token.kind !== 'word' || token.text !== 'export') return []
    const rest = all.slice(i + 1, i + 8).filter(t => !['async', 'abstract', 'default'].includes(t.text))
    const [what, name, ...after] = rest
    const isFunction = what?.text === 'function' || what?.text === 'class'
    // `export const f = (…) =>` and `export const f: Type = async … =>`; constants of other kinds may speak for themselves.
    const isConstantFunction =
      what?.text === 'const' && after.some(t => t.text === '=>' || t.text === 'async')
    if (!name || !(isFunction || isConstantFunction)) return []
    const before = all[i - 1]
    if (before?.kind === 'comment' && before.text.startsWith('/**')) documented.add(name.text)
    // The first of several overloads speaks for all.
    return documented.has(name.text) ? [] : [name]
  })
}
