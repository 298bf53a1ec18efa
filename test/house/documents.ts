import { exitMeanings } from '../../src/cli/exit-codes.ts'
import { clusterFileJsonSchema } from '../../src/cluster/schema.ts'
import type { Blame } from '../../src/runbook/fault.ts'
import { catalogueOf, exitsOf, type FaultSite } from './fault-catalogue.ts'

/** The documents that are made from the code, by their path; `node bin/docs.mjs` writes them. */
export function documents(top: string): Record<string, string> {
  return {
    'docs/errors.md': errors(catalogueOf(top).sites),
    'docs/exit-codes.md': exits(),
    'docs/recover.schema.json': `${JSON.stringify(clusterFileJsonSchema(), null, 2)}\n`,
  }
}

const made = '<!-- Made from the code by `node bin/docs.mjs`. A test compares the two. -->'

const blames: Record<Blame, string> = {
  operator: 'you: a file, a setting or a decision of yours',
  host: 'one machine or the NAS',
  network: 'something between machines; often it passes by itself',
  bug: 'us: please report it',
}

function errors(sites: FaultSite[]): string {
  const codes = grouped(sites)
  return `${made}

# Errors

Every error that \`recover\` reports has a code, somebody to blame in the sense of who has to act, what happened, and what
to do next. The code stands in brackets behind the message, and in \`error.code\` with \`--json\`; it never changes its
meaning. Where a text says \`…\`, the real one names the host, file, volume or number.

Who has to act: ${Object.entries(blames)
    .map(([blame, means]) => `**${blame}**, ${means}`)
    .join('; ')}.

The exit codes are explained in [exit-codes.md](exit-codes.md). An error that ends a command before its run has begun ends it
with the first number; one that a step of a run has ends the run, once all other steps are through, with the second.

${[...codes].map(([code, places]) => entry(code, places)).join('\n')}`
}

function grouped(sites: FaultSite[]): Map<string, FaultSite[]> {
  const codes = new Map<string, FaultSite[]>()
  for (const site of sites) codes.set(site.code, [...(codes.get(site.code) ?? []), site])
  return codes
}

function entry(code: string, places: FaultSite[]): string {
  const blame = places[0]?.blames[0] ?? 'bug'
  const { command, run } = exitsOf(code, blame)
  const onlySteps = places.every(p => p.by === 'step')
  const ends = onlySteps
    ? `exit code ${run}`
    : command === run
      ? `exit code ${command}`
      : `exit code ${command} or ${run}`
  const messages = unique(places.flatMap(p => p.messages)).filter(m => m !== '…')
  const remedies = unique(places.flatMap(p => p.remedies)).filter(r => r !== '…')
  return `## ${code}

*${blame}*, ${ends}

${messages.map(m => `> ${oneLine(m)}\n`).join('>\n')}
${remedies.length === 0 ? 'What to do depends on the case; the error says it.\n' : remedies.map(r => `- ${oneLine(r)}.\n`).join('')}`.replace(
    /\n{3,}/g,
    '\n\n',
  )
}

function unique(list: string[]): string[] {
  return [...new Set(list)]
}

function oneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, ' ').replace(/\.$/, '')
}

function exits(): string {
  return `${made}

# Exit codes

The same with and without \`--json\`.

| Exit code | Meaning |
| --- | --- |
${Object.entries(exitMeanings)
  .map(([code, means]) => `| ${code} | ${means} |`)
  .join('\n')}

With \`--json\`, whatever ends a command before it has a result is printed to stdout as

    { "error": { "code": "…", "blame": "…", "message": "…", "remedy": "…" }, "exit": 2 }

A run that began and did not finish prints its result, with the failed steps in \`failures\`. All codes are in
[errors.md](errors.md).
`
}
