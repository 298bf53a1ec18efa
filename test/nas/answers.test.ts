import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import fc from 'fast-check'
import { Agent, request } from 'undici'
import { expect, onTestFinished, test } from 'vitest'
import { anonymise } from '../../src/nas/synology/anonymise.ts'
import { inspectSynology } from '../../src/nas/synology/inspect.ts'
import { connectSynology } from '../../src/nas/synology/synology.ts'
import { Fault } from '../../src/runbook/fault.ts'
import { anyValues, withValue } from './changed-value.ts'
import { connectedNas } from './connected-nas.ts'

// biome-ignore lint/suspicious/noExplicitAny: any answer of the NAS
type Answer = any
type Edit = (method: string, answer: Answer) => unknown

/** The lab's NAS, of which somebody on the way changes answers: a DSM that nobody has seen yet. */
async function nasThatAnswers() {
  const nas = await connectedNas()
  const snapshot = await nas.writer.takeSnapshot(
    (await nas.reader.luns())[0]!.uuid,
    'recover-20261129-1',
    'before the run',
  )
  const agent = new Agent({ connect: { rejectUnauthorized: false } })
  const edit: { now: Edit } = { now: (_, answer) => answer }
  const server = createServer(async (incoming, outgoing) => {
    const chunks: Buffer[] = []
    for await (const chunk of incoming) chunks.push(chunk)
    const body = Buffer.concat(chunks).toString()
    const { host: _, connection: __, ...headers } = incoming.headers
    const answered = await request(`https://127.0.0.1:${nas.port}${incoming.url}`, {
      method: 'POST',
      dispatcher: agent,
      headers: headers as Record<string, string>,
      body,
    })
    const form = new URLSearchParams(body)
    const answer = edit.now(`${form.get('api')} ${form.get('method')}`, await answered.body.json())
    outgoing.end(typeof answer === 'string' ? answer : JSON.stringify(answer))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  onTestFinished(async () => {
    await new Promise(resolve => server.close(resolve).closeAllConnections())
    await agent.close()
  })
  const access = { ...nas.access, url, fingerprint: undefined }
  return {
    edit,
    access,
    lun: snapshot.lun,
    /** Asks by a session of its own, so that its login is answered, too. */
    async asked<T>(ask: (reader: ReturnType<typeof connectSynology>['reader']) => Promise<T>): Promise<T> {
      const client = connectSynology(access)
      try {
        return await ask(client.reader)
      } finally {
        await client.close()
      }
    },
  }
}

const unlike: ['targets' | 'luns' | 'describe', string, string, (answer: Answer) => void][] = [
  ['targets', 'Target list', 'targets.0.is_enabled', a => delete a.data.targets[0].is_enabled],
  [
    'targets',
    'Target list',
    'targets.0.connected_sessions',
    a => delete a.data.targets[0].connected_sessions,
  ],
  ['targets', 'Target list', 'targets.0.mapped_luns', a => delete a.data.targets[0].mapped_luns],
  ['targets', 'Target list', 'targets', a => delete a.data.targets],
  ['luns', 'LUN list', 'luns.0.size', a => Object.assign(a.data.luns[0], { size: '1 GB' })],
  ['luns', 'LUN list', 'luns.0.uuid', a => Object.assign(a.data.luns[0], { uuid: '' })],
  [
    'describe',
    'Volume list',
    'volumes.0.size_free_byte',
    a => Object.assign(a.data.volumes[0], { size_free_byte: 'much' }),
  ],
  ['luns', 'Auth login', 'sid', a => delete a.data.sid],
]

test.for(unlike)(
  '%s: an answer of %s in which %s is not as it should be is not gone by',
  async ([ask, method, field, change]) => {
    const { edit, asked } = await nasThatAnswers()
    edit.now = (called, answer) => {
      if (called.endsWith(method)) change(answer)
      return answer
    }
    await expect(asked<unknown>(reader => reader[ask]())).rejects.toMatchObject({
      code: 'nas-answer-unknown',
      message: expect.stringContaining(`${method} in a form that recover does not know: ${field}: `),
    })
  },
)

test('a list that is null is an empty one; a page in the place of an answer is no NAS', async () => {
  const { edit, asked } = await nasThatAnswers()
  edit.now = (called, answer) => (called.endsWith('LUN list') ? { ...answer, data: { luns: null } } : answer)
  expect(await asked(reader => reader.luns())).toEqual([])
  for (const page of ['<html>Synology is starting</html>', '[]', 'null', '{"data": {}}']) {
    edit.now = () => page
    await expect(asked(reader => reader.luns())).rejects.toMatchObject({
      code: 'nas-unreachable',
      message: expect.stringContaining('does not speak as DSM’s Web API does'),
    })
  }
})

test('a disk that is plugged in by USB stands among the shares, has no uuid, and is in nobody’s way', async () => {
  const { edit, asked } = await nasThatAnswers()
  const usb = { name: 'usbshare1', vol_path: '/volumeUSB1/usbshare', desc: '', is_usb_share: true, uuid: '' }
  edit.now = (called, answer) => {
    if (called === 'SYNO.Core.Share list') answer.data.shares.push(usb)
    return answer
  }
  expect(await asked(reader => reader.shares())).toEqual([])
})

test('a NAS whose answers are not gone by can be inspected all the same, and recorded', async () => {
  const { edit, access } = await nasThatAnswers()
  const asked =
    /^SYNO\.Core\.(ISCSI\.LUN|ISCSI\.Target|ISCSI\.Host|Share|Storage\.Volume|System) (list|info)$/
  for (const data of [undefined, null, { luns: null, targets: null, shares: null, volumes: null }]) {
    edit.now = (called, answer) => (asked.test(called) ? { success: true, data } : answer)
    const { answers, exchanges } = await inspectSynology(access)
    expect(answers).toContainEqual({ about: 'LUN types', says: 'none' })
    expect(anonymise(exchanges)).toHaveLength(exchanges.length)
  }
})

test('whatever becomes of one value in an answer, it is read, or refused by a Fault', async () => {
  const { edit, asked, lun } = await nasThatAnswers()
  await fc.assert(
    fc.asyncProperty(fc.nat(60), fc.constantFrom(...anyValues), async (nth, value) => {
      edit.now = (_, answer) => withValue(answer, nth, value)
      try {
        await asked(async reader => [
          await reader.describe(),
          await reader.luns(),
          await reader.targets(),
          await reader.shares(),
          await reader.snapshots(lun),
        ])
      } catch (thrown) {
        if (!(thrown instanceof Fault)) throw thrown
      }
    }),
    { numRuns: 150 },
  )
})
