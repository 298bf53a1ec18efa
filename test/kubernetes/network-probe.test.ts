import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { networkProbe, probeRefusals } from '../../src/kubernetes/network-probe.ts'
import { scratch } from '../runbook/harness.ts'

let server: Server
let port = 0
beforeAll(async () => {
  server = createServer(socket => socket.end())
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  port = (server.address() as AddressInfo).port
})
afterAll(() => void server.close())

/** Runs the very program, by a real shell with this computer's names. */
function probe(name: string, at: number): Promise<{ code: number | null; says: string }> {
  const file = join(scratch('probe'), 'says')
  const child = spawn('/bin/sh', ['-c', networkProbe], {
    env: { PATH: process.env.PATH, NAME: name, PORT: String(at), TRIES: '1', SAY: file },
  })
  return new Promise(resolve =>
    child.on('close', code => resolve({ code, says: existsSync(file) ? readFileSync(file, 'utf8') : '' })),
  )
}

test('a name that resolves to somebody who answers', async () => {
  expect(await probe('127.0.0.1', port)).toEqual({
    code: 0,
    says: `127.0.0.1 is 127.0.0.1, and answers at port ${port}`,
  })
})

test('a service that does not answer is told from a name that is not known', async () => {
  expect(await probe('127.0.0.1', 1)).toEqual({
    code: probeRefusals.serviceAway,
    says: '127.0.0.1 is 127.0.0.1, and nothing answers there at port 1',
  })
  expect(await probe('nobody.invalid', port)).toEqual({
    code: probeRefusals.nameUnknown,
    says: "the cluster's DNS does not know nobody.invalid",
  })
})
