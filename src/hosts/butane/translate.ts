import { bytesOf, textOfBytes } from './byte-text.ts'
import { dataUrlOf, percentEscaped } from './data-url.ts'
import { type Entry, notesInto } from './entries.ts'
import {
  emptyStruct,
  isZero,
  type Struct,
  type StructValue,
  type Type,
  type Value,
  zeroOf,
} from './go-types.ts'
import { LocalFileFault, type LocalFiles, noFilesDir } from './local-files.ts'
import type { Compiled } from './merge.ts'
import type { Path } from './places.ts'
import type { Spec } from './specs.ts'
import { camelCase, Translations } from './translations.ts'

/**
 * Turns what a person wrote into Ignition's terms, one thing for one thing; what is generated besides comes later.
 * @param report takes the local files that cannot be had.
 */
export function translate(source: StructValue, spec: Spec, files: LocalFiles, report: Entry[]): Compiled {
  const work = new Translation(spec, files, report)
  const type = spec.types('Config')
  const config = emptyStruct(type)
  const parts = ['ignition', 'kernel_arguments', 'passwd', 'storage', 'systemd']
  for (const key of parts) {
    const from = spec.schema.fields.find(f => f.key === key)
    const to = type.fields.find(f => f.key === camelCase(key))
    if (from && to) config[to.key] = work.value(from.type, to.type, source[key], [key], [to.key])
  }
  const ignition = config.ignition as StructValue
  ignition.version = spec.ignitionVersion
  work.translations.add(['version'], ['ignition', 'version'])
  work.translations.add(['ignition'], ['ignition'])
  return { config, translations: work.translations }
}

/** Structs that count as translated as soon as any part of them is. */
const byPart = new Set([
  'Ignition',
  'File',
  'Directory',
  'Link',
  'Resource',
  'FileContents',
  'PasswdUser',
  'Unit',
  'Dropin',
])

class Translation {
  readonly translations = new Translations()
  private readonly spec: Spec
  private readonly files: LocalFiles
  private readonly report: Entry[]

  constructor(spec: Spec, files: LocalFiles, report: Entry[]) {
    this.spec = spec
    this.files = files
    this.report = report
  }

  value(from: Type, to: Type, value: Value, fromPath: Path, toPath: Path): Value {
    if (from.kind === 'pointer') {
      if (value === undefined || to.kind !== 'pointer') return undefined
      return this.value(from.to, to.to, value, fromPath, toPath)
    }
    if (from.kind === 'slice') {
      if (value === undefined || to.kind !== 'slice') return undefined
      const list = (value as Value[]).map((item, i) =>
        this.value(from.of, to.of, item, [...fromPath, i], [...toPath, i]),
      )
      this.translations.add(fromPath, toPath)
      return list
    }
    if (from.kind === 'struct' && to.kind === 'struct')
      return this.struct(from, to, value as StructValue, fromPath, toPath)
    this.translations.add(fromPath, toPath)
    return value
  }

  private struct(from: Struct, to: Struct, value: StructValue, fromPath: Path, toPath: Path): StructValue {
    const result: StructValue = Object.fromEntries(to.fields.map(f => [f.key, zeroOf(f.type)]))
    const before = this.translations.size
    for (const field of from.fields) {
      const own = to.fields.find(f => f.key === camelCase(field.key))
      if (!own) continue
      result[own.key] = this.value(
        field.type,
        own.type,
        value[field.key],
        [...fromPath, field.key],
        [...toPath, own.key],
      )
    }
    try {
      this.additions(from.plainName, value, result, fromPath, toPath)
    } catch (error) {
      if (!(error instanceof LocalFileFault)) throw error
      notesInto(this.report, 'source').error(error.cause as Path, error.message)
    }
    const some = byPart.has(from.plainName) ? this.translations.size > before : !isZero(from, value)
    if (some) this.translations.add(fromPath, toPath)
    return result
  }

  /** What Butane has and Ignition has not: contents from here or from files beside the config. */
  private additions(
    name: string,
    value: StructValue,
    result: StructValue,
    fromPath: Path,
    toPath: Path,
  ): void {
    if (name === 'Resource' || name === 'FileContents') {
      if (value.local !== undefined) {
        const path = [...fromPath, 'local']
        this.contents(this.readFile(value.local as string, path), result, path, toPath)
      }
      if (value.inline !== undefined) {
        const path = [...fromPath, 'inline']
        this.contents(bytesOf(value.inline as string), result, path, toPath)
      }
    }
    if (name === 'Unit' || name === 'Dropin') {
      const local = value.contents_local as string | undefined
      if (local !== undefined && local !== '') {
        const path = [...fromPath, 'contents_local']
        result.contents = textOfBytes(this.readFile(local, path))
        this.translations.add(path, [...toPath, 'contents'])
      }
    }
    if (name === 'PasswdUser') this.keysFromFiles(value, result, fromPath, toPath)
  }

  private contents(contents: Buffer, result: StructValue, path: Path, toPath: Path): void {
    if (this.spec.part === 1) {
      result.source = `data:,${percentEscaped(contents)}`
      this.translations.add(path, [...toPath, 'source'])
      return
    }
    const { url, compression } = dataUrlOf(contents, result.compression as string | undefined)
    result.source = url
    this.translations.add(path, [...toPath, 'source'])
    if (compression === undefined) return
    result.compression = compression
    this.translations.add(path, [...toPath, 'compression'])
  }

  private keysFromFiles(value: StructValue, result: StructValue, fromPath: Path, toPath: Path): void {
    const names = (value.ssh_authorized_keys_local as string[] | undefined) ?? []
    if (names.length === 0) return
    const path = [...fromPath, 'ssh_authorized_keys_local']
    this.translations.add(path, [...toPath, 'sshAuthorizedKeys'])
    if (!this.files.there) throw new LocalFileFault(noFilesDir, { cause: path })
    for (const [i, name] of names.entries()) {
      let text: string
      try {
        text = textOfBytes(this.files.contents(name))
      } catch (error) {
        if (!(error instanceof LocalFileFault)) throw error
        notesInto(this.report, 'source').error([...path, i], error.message)
        continue
      }
      for (const line of text.split(/\r?\n/)) {
        if (line === '') continue
        const keys = ((result.sshAuthorizedKeys as Value[] | undefined) ??= [])
        this.translations.add([...path, i], [...toPath, 'sshAuthorizedKeys', (keys as Value[]).length])
        ;(keys as Value[]).push(line)
      }
    }
  }

  private readFile(name: string, path: Path): Buffer {
    try {
      return this.files.contents(name)
    } catch (error) {
      if (error instanceof LocalFileFault) throw new LocalFileFault(error.message, { cause: path })
      throw error
    }
  }
}
