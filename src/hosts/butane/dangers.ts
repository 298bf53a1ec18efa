import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { butaneSchema } from './butane-schema.ts'
import { joinPath } from './go-path.ts'
import type { Field, Type } from './go-types.ts'
import type { ButaneMessage, ButaneResult } from './messages.ts'
import { keyText } from './places.ts'
import { parseYaml } from './yaml/parser.ts'
import { YamlFault } from './yaml/yaml-fault.ts'
import type { YamlNode } from './yaml/yaml-node.ts'

/** Something that compiles, and then does harm or is not there when it is needed. */
export interface Danger {
  kind: 'ignored-key' | 'decimal-mode' | 'local-missing' | 'local-not-in-git' | 'secret-inline'
  /** The file as messages name it. */
  file: string
  /** From 1. */
  line: number
  column: number
  text: string
}

export interface DangerOptions {
  /** Name of the file in messages. */
  source: string
  /** Folder that `local:` paths are relative to. */
  filesDir?: string
  /** Whether Git ignores a file; undefined where there is no repository. Asks `git check-ignore` if it is not given. */
  gitIgnores?: (path: string) => boolean | undefined
}

/**
 * Warns of what Butane passes over in silence or nearly so: keys that only another variant or version honours, modes in
 * decimal digits, local files that a clean checkout does not have, secrets in the text itself. No secret is in a warning.
 * @param result of compiling the same text.
 */
export function dangersOf(text: string, result: ButaneResult, options: DangerOptions): Danger[] {
  const root = nodeOf(text)
  if (!root) return []
  const values = [...scalarsIn(root, [])]
  return [
    ...ignoredKeys(result.messages, root, options),
    ...decimalModes(result.messages, text, options),
    ...localFiles(values, result, options),
    ...inlineSecrets(values, options),
  ].sort((a, b) => a.line - b.line || a.column - b.column)
}

/** A danger in one line. */
export function showDanger({ file, line, column, text }: Danger): string {
  return `${file}:${line}:${column}: ${text}`
}

/** Whether Git ignores a file; undefined where Git or its repository is not there. */
export function gitIgnores(path: string): boolean | undefined {
  const place = resolve(path)
  // A folder that is missing may be what Git ignores.
  let folder = dirname(place)
  while (!existsSync(folder)) folder = dirname(folder)
  const asked = spawnSync('git', ['check-ignore', '--quiet', '--', place], {
    cwd: folder,
    stdio: 'ignore',
    timeout: 10_000,
  })
  return asked.status === 0 ? true : asked.status === 1 ? false : undefined
}

function nodeOf(text: string): YamlNode | undefined {
  try {
    return parseYaml(text)
  } catch (error) {
    if (error instanceof YamlFault) return undefined
    throw error
  }
}

const effects: Record<string, string> = {
  boot_device:
    'boot_device is a key of Fedora CoreOS alone: nothing is generated from it, so the root will be neither encrypted nor mirrored; write storage.luks, storage.raid and storage.filesystems out',
  grub: 'grub is a key of Fedora CoreOS alone: nothing is generated from it, so anybody at the console can change what boots',
}

function ignoredKeys(messages: ButaneMessage[], root: YamlNode, { source }: DangerOptions): Danger[] {
  const variant =
    root.kind === 'mapping' ? root.pairs.find(([k]) => keyText(k) === 'variant')?.[1] : undefined
  const name = variant?.kind === 'scalar' ? variant.value : ''
  return messages.flatMap(({ text, path, line = 1, column = 1 }): Danger[] => {
    if (!text.startsWith('unused key ')) return []
    const key = text.slice('unused key '.length)
    const parts = path.slice(2).split('.')
    if (!newestKnows(parts)) return []
    const effect =
      (parts.length === 1 && name === 'flatcar' ? effects[key] : undefined) ??
      `${key} is known to other variants or versions of Butane only: here it has no effect`
    return [{ kind: 'ignored-key', file: source, line, column, text: effect }]
  })
}

/** Whether the newest schema of all has a key at this place. */
function newestKnows(parts: string[]): boolean {
  let type: Type = butaneSchema('fcos', 8, 8)
  for (const part of parts) {
    while (type.kind === 'pointer') type = type.to
    if (type.kind === 'slice' && /^[0-9]+$/.test(part)) type = type.of
    else {
      const field: Field | undefined =
        type.kind === 'struct' ? type.fields.find(f => f.key === part) : undefined
      if (!field) return false
      type = field.type
    }
  }
  return true
}

function decimalModes(messages: ButaneMessage[], text: string, { source }: DangerOptions): Danger[] {
  const lines = text.split('\n')
  return messages.flatMap(({ text: said, line, column }): Danger[] => {
    if (!said.startsWith('unreasonable mode') || line === undefined || column === undefined) return []
    const digits = /^[0-9]+/.exec([...(lines[line - 1] ?? '')].slice(column - 1).join(''))?.[0]
    const means =
      digits === undefined
        ? 'this mode is written in decimal digits: write it with a leading zero'
        : `mode ${digits} is decimal and means 0${Number(digits).toString(8)}: write 0${digits}`
    return [{ kind: 'decimal-mode', file: source, line, column, text: means }]
  })
}

interface Placed {
  path: string[]
  value: string
  line: number
  column: number
}

/** Every scalar with the keys and indices that lead to it. Aliases are not followed: what they mean was visited. */
function* scalarsIn(node: YamlNode, path: string[]): Generator<Placed> {
  if (node.kind === 'scalar') yield { path, value: node.value, line: node.line, column: node.column }
  if (node.kind === 'sequence')
    for (const [i, item] of node.items.entries()) yield* scalarsIn(item, [...path, String(i)])
  if (node.kind === 'mapping')
    for (const [key, value] of node.pairs) yield* scalarsIn(value, [...path, keyText(key)])
}

function localFiles(values: Placed[], result: ButaneResult, options: DangerOptions): Danger[] {
  const { source, filesDir } = options
  if (filesDir === undefined) return []
  const ignored = options.gitIgnores ?? gitIgnores
  return values.flatMap(({ path, value, line, column }): Danger[] => {
    const last = path.at(-1)!
    const names = last === 'local' || last === 'contents_local' || path.at(-2) === 'ssh_authorized_keys_local'
    if (!names || value === '') return []
    const at = { file: source, line, column }
    const place = joinPath(filesDir, value)
    const missing = result.messages.some(
      m => m.line === line && m.text.includes(` ${place}: no such file or directory`),
    )
    if (missing) {
      const why = ignored(place) === true ? ', because Git ignores it' : ''
      return [
        {
          kind: 'local-missing',
          ...at,
          text: `${value} is not there${why}: bring it before hosts are installed, and keep a copy where a recovery finds it`,
        },
      ]
    }
    const taken = result.localFiles.filter(file => file === place || file.startsWith(`${place}/`))
    return taken
      .filter(file => ignored(file) === true)
      .map(file => ({
        kind: 'local-not-in-git',
        ...at,
        text: `${file} is ignored by Git: a checkout on another machine will not have it; keep a copy where a recovery finds it`,
      }))
  })
}

const secretForms: [what: string, form: RegExp][] = [
  ['a private key', /-----BEGIN [A-Z ]*PRIVATE KEY-----/],
  ['an age identity', /AGE-SECRET-KEY-1[0-9A-Z]+/],
  ['a token of GitHub', /\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,})/],
  ['a token of GitLab', /\bglpat-[A-Za-z0-9_-]{20,}/],
  ['an access key of AWS', /\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/],
  ['a token of Slack', /\bxox[abprs]-[A-Za-z0-9-]{10,}/],
  ['a token of 1Password', /\bops_[A-Za-z0-9+/=_-]{40,}/],
  ['a JSON web token', /\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\./],
  [
    'a password or token',
    /(?:^|[\s"'_-])(?:password|passwd|passphrase|secret|token|api[_-]?key|private[_-]?key)["']?\s*[:=]\s*["']?(?![$<{%"'\s]|op:)[^\s"'$]{8,}/im,
  ],
]

function inlineSecrets(values: Placed[], { source }: DangerOptions): Danger[] {
  return values.flatMap(({ path, value, line, column }): Danger[] => {
    const keyFile = path.at(-2) === 'key_file' && path.at(-1) === 'inline' && !/^\s*\$\{\w+\}\s*$/.test(value)
    const what = keyFile ? 'the key of a LUKS volume' : secretForms.find(([, form]) => form.test(value))?.[0]
    if (what === undefined || (keyFile && value === '')) return []
    return [
      {
        kind: 'secret-inline',
        file: source,
        line,
        column,
        text: `${what} seems to stand in this text: put $\{NAME} here and the value into a secret source`,
      },
    ]
  })
}
