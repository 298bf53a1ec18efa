import type { ApplicationSource } from './applications.ts'
import { holdOf } from './hold.ts'
import { nearest } from './nearest.ts'
import type { Problem } from './problem.ts'
import { circleIn } from './release-order.ts'
import type { ClusterFile } from './schema.ts'
import type { YamlDocument } from './yaml-file.ts'

/** What recover.yaml says of applications, held against what there is. */
export function applicationProblems(
  entry: ClusterFile,
  applications: ApplicationSource[],
  document: YamlDocument,
): Problem[] {
  const problems: Problem[] = []
  const said = Object.entries(entry.applications ?? {})
  const wrong = (path: PropertyKey[], message: string) =>
    problems.push({ at: document.at(path), path: path.join('.'), message })
  const names = applications.map(a => a.name)
  const unknown = (path: PropertyKey[], name: string) => {
    const meant = nearest(name, names)
    wrong(
      path,
      `no such Application${meant ? `; did you mean ${meant}?` : `; there are: ${names.join(', ')}`}`,
    )
  }
  for (const [name, { hold, after = [] }] of said) {
    const application = applications.find(a => a.name === name)
    if (!application) unknown(['applications', name], name)
    else if (hold === false && (application.owned.length > 0 || application.parent))
      wrong(
        ['applications', name, 'hold'],
        `it cannot be let through before the volumes are there: ${holdOf(application).why}`,
      )
    else if (hold === true && application.storage)
      wrong(['applications', name, 'hold'], 'it cannot wait for the volumes: they need it')
    for (const [i, other] of after.entries())
      if (!names.includes(other)) unknown(['applications', name, 'after', i], other)
  }
  for (const [i, { application }] of (entry.checks ?? []).entries())
    if (application !== undefined && !names.includes(application))
      unknown(['checks', i, 'application'], application)
  const circle = circleIn(new Map(said.map(([name, { after = [] }]) => [name, after])))
  if (circle)
    wrong(['applications', circle[0]!, 'after'], `these wait for each other: ${circle.join(' after ')}`)
  return problems
}
