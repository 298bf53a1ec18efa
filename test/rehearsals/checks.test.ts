import { readFileSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { failuresOf, faultsOf, homeOf, rehearseAt, resumeAt } from '../recovery/home.ts'

test('the person’s own checks decide the end: one that is answered wrongly fails with its last answer, the others hold', async context => {
  const home = homeOf(context)
  const text = readFileSync(home.file, 'utf8')
  const own = `  - { exec: [cat, /data/README.txt], in: { namespace: photos, selector: { app: photos } }, contains: the data of somebody else, within: 3s }
  - { exec: ['true'], in: { namespace: photos, selector: { app: nobody } }, within: 3s }
  - { tcp: '192.0.2.1:5432' }
  - { http: https://photos.example.net/, contains: photos/library, tls: { fingerprint: 'sha256:${'0'.repeat(64)}' }, connect: '192.0.2.1:443' }
`
  writeFileSync(home.file, `${text}${own}`)
  const run = await rehearseAt(home, {
    where: where => ({
      ...where,
      // What is waited for in vain is over long before its step is, so that the wait says why.
      scaleLimit: (ms, of) =>
        ms <= 3_000 ? (of === 'wait' ? 5_000 : 60_000) : (where.scaleLimit?.(ms, of) ?? ms),
    }),
  })
  expect(failuresOf(run)).toEqual({
    'applications/check[cat /data/README.txt in photos/app=photos]': 'check-answers-wrong',
    'applications/check[true in photos/app=nobody]': 'check-answers-wrong',
  })
  expect(
    faultsOf(run)
      .map(f => f.message)
      .sort(),
  ).toEqual([
    'cat /data/README.txt in photos/app=photos does not answer as it should: in photos-0: the text "the data of somebody else" is not in it: "This is the data of photos/library."',
    'true in photos/app=nobody does not answer as it should: no such pod in photos is ready',
  ])
  const done = run.events.flatMap(e => (e.code === 'step-done' ? [`${e.step}: ${e.evidence}`] : []))
  expect(done).toContainEqual(
    expect.stringMatching(
      /^applications\/check\[test -s \/data\/README\.txt in photos\/app=photos\]: .* in photos-0 it ends as it should$/,
    ),
  )
  expect(done).toContainEqual(
    expect.stringMatching(/^applications\/check\[select count.* in postgres-0 it ends as it should$/),
  )
  expect(done).toContainEqual(
    expect.stringMatching(/^applications\/check\[connections to 192\.0\.2\.1:5432\]: .*takes connections$/),
  )
  expect(done).toContainEqual(
    expect.stringMatching(
      /^applications\/check\[https:\/\/photos\.example\.net\/ \(2\)\]: .*it answers 200 with the text/,
    ),
  )
  // Mended in place, or taken out: a run goes on with what recover.yaml asks now.
  writeFileSync(
    home.file,
    `${text}${own.replace('somebody else', 'photos/library').split('\n').slice(0, 1).join('\n')}\n`,
  )
  const resumed = await resumeAt(home, { accept: ['cluster-file'] })
  expect(failuresOf(resumed)).toEqual({})
  expect(resumed.result?.state).toBe('finished')
})
