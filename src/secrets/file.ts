import { Fault } from '../runbook/fault.ts'
import { absent, ContentProblem, findIn, parseContent, type SecretContent } from './content.ts'
import { readPrivateFile } from './private-file.ts'
import type { SecretSource } from './source.ts'

/**
 * Secrets from a plain YAML or JSON file, read once, on the first question.
 * Faults: `secret-file-readable` (mode wider than 0600), `secret-file-unreadable`, `secret-file-invalid`.
 */
export function fileSource(file: string): SecretSource {
  let content: SecretContent | undefined
  return {
    name: 'file',
    label: 'secrets file',
    async find(secret, field) {
      if (content === undefined) {
        const text = readPrivateFile(file)
        if (text === undefined) return absent(file, `Write ${file} with mode 0600, or correct secrets.file`)
        content = parse(file, text)
      }
      return findIn(content, file, secret, field)
    },
  }
}

function parse(file: string, text: string): SecretContent {
  try {
    return parseContent(text)
  } catch (error) {
    if (!(error instanceof ContentProblem)) throw error
    throw new Fault({
      code: 'secret-file-invalid',
      blame: 'operator',
      message: `${file} is ${error.message}`,
      remedy: `Write ${file} as secrets of fields of texts: nas: { username: …, password: … }`,
      ...(error.at === undefined ? {} : { at: `${file}:${error.at}` }),
    })
  }
}
