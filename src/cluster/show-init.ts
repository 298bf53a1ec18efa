import { relative } from 'node:path'
import type { InitResult } from './init.ts'
import { oneLine } from './init-questions.ts'
import { showSize } from './size.ts'

/** A path as a person would type it here. */
export function shortest(file: string): string {
  const here = relative(process.cwd(), file)
  return here === '' || here.startsWith('..') ? file : here
}

/** What was found and what is to be done now, for a person. */
export function showInit(result: InitResult): string {
  const { hosts, claims, applications, remote, missing, questions, problems } = result
  const file = shortest(result.file)
  const total = showSize(claims.reduce((sum, c) => sum + c.sizeBytes, 0))
  const lines: string[] = []
  const part = (title: string, items: string[]) => {
    lines.push(title, ...items.map(item => `  ${item}`))
  }
  part(
    `Hosts: ${hosts.length}`,
    hosts.map(h => `${h.name} (${h.role}) ${h.address ?? 'address not known'}`),
  )
  part(
    claims.length === 0 ? 'Claims: none' : `Claims: ${claims.length}, ${total} together`,
    claims.map(c => `${c.id} ${showSize(c.sizeBytes)} ${c.owners.join(', ') || 'mounted by nothing in Git'}`),
  )
  if (applications.from === 'folder')
    part(`Applications: ${applications.names.length}, in ${applications.folder}`, [
      applications.names.join(', '),
    ])
  else if (applications.from === 'flux')
    part(`Applications: ${applications.flux.names.length} by Flux, in ${applications.flux.folder}`, [
      applications.flux.names.join(', '),
    ])
  else if (applications.from === 'generated')
    part(`Applications: none in Git; one for each of ${applications.folders.length || 'the'} folders`, [
      applications.generate.join(', '),
    ])
  else part('Applications: none found', [])
  if (remote.length > 0)
    part(
      `Not in the repository, needed from the network: ${remote.length}`,
      remote.map(r => `${r.what} (${r.kind} of ${r.folder})`),
    )
  if (missing.length > 0)
    part(
      `Named by a kustomization and not there, secrets most often: ${missing.length}`,
      missing.map(m => `${m.file} (${m.at})`),
    )
  lines.push('')
  if (questions.length > 0) {
    lines.push(`Wrote ${file}. Only you can answer ${count(questions.length, 'question')} in it:`)
    for (const q of questions) lines.push(`  ${q.at} ${q.path}`, `      ${q.question}`)
  } else lines.push(`Wrote ${file}. No question is open.`)
  if (problems.length > 0)
    part(
      'To be mended:',
      problems.map(p => `${p.at} ${p.path}: ${p.message}`),
    )
  lines.push(
    '',
    `Next: ${questions.length > 0 ? 'answer them there, then ' : problems.length > 0 ? 'mend it, then ' : ''}recover rehearse ${file}`,
  )
  return `${lines.map(oneLine).join('\n')}\n`
}

function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? '' : 's'}`
}
