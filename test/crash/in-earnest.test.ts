import { spawn } from 'node:child_process'
import { appendFileSync, chmodSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import ssh2 from 'ssh2'
import { request } from 'undici'
import { expect, test } from 'vitest'
import type { LabEndpoints } from '../../src/lab/lab.ts'
import { labProgram } from '../../src/lab/programs.ts'
import { root } from '../cli/program.ts'

/**
 * The command for the real home, against a lab that stands where the home would: nothing here is a rehearsal to the
 * program. Its addresses, keys, secrets, consent and k0sctl are the person's own.
 */
test('recover cluster --from-scratch: planned, approved by the plan’s hash, carried out', {
  timeout: 900_000,
}, async ({ onTestFinished }) => {
  const home = mkdtempSync(join(tmpdir(), 'recover-earnest-'))
  onTestFinished(() => rmSync(home, { recursive: true, force: true }))
  const environment: Record<string, string> = {
    PATH: process.env.PATH ?? '',
    HOME: home,
    XDG_STATE_HOME: join(home, 'state'),
    NO_COLOR: '1',
    COLUMNS: '300',
  }
  const recover = (...args: string[]) =>
    new Promise<{ exit: number | null; stdout: string; stderr: string }>(resolve => {
      const child = spawn(process.execPath, [join(root, 'bin/run.js'), ...args], {
        cwd: home,
        env: environment,
      })
      const said = { stdout: '', stderr: '' }
      child.stdout.on('data', chunk => {
        said.stdout += chunk
      })
      child.stderr.on('data', chunk => {
        said.stderr += chunk
      })
      child.on('close', exit => resolve({ exit, ...said }))
    })

  const up = await recover('lab', 'up', join(root, 'examples/home'), '--folder', join(home, 'lab'))
  expect(up.exit, up.stderr).toBe(0)
  const lab = JSON.parse(up.stdout) as LabEndpoints
  onTestFinished(async () => {
    await recover('lab', 'down', '--folder', join(home, 'lab'))
  })
  const order = (path: string) =>
    request(`${lab.control.url}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${lab.control.token}` },
    }).then(r => r.body.dump())

  // The person's own files: the example's, with the addresses of the home that stands here.
  cpSync(join(root, 'examples/home'), join(home, 'home'), { recursive: true })
  const file = join(home, 'home', 'recover.yaml')
  const edited = (path: string, changes: [string | RegExp, string][]) => {
    let text = readFileSync(path, 'utf8')
    for (const [from, to] of changes) {
      expect(text).toMatch(from)
      text = text.replace(from, to)
    }
    writeFileSync(path, text)
  }
  const k0sctl = join(home, 'k0sctl')
  writeFileSync(k0sctl, `#!/bin/sh\nexec ${process.execPath} ${labProgram('k0sctl')} "$@"\n`)
  chmodSync(k0sctl, 0o755)
  edited(file, [
    ['address: 192.0.2.11', `address: ${lab.hosts.lithium?.address}\n    port: ${lab.hosts.lithium?.port}`],
    ['address: 192.0.2.12', `address: ${lab.hosts.hydrogen?.address}\n    port: ${lab.hosts.hydrogen?.port}`],
    ['synology: https://192.0.2.17:5001', `synology: ${lab.nas.url}`],
    [/fingerprint: \S+/, `fingerprint: ${lab.nas.fingerprint}`],
    [/checks:[\s\S]*/, `tools: { k0sctl: ${k0sctl} }\n`],
  ])
  const operator = ssh2.utils.parseKey(lab.operatorKey)
  if (operator instanceof Error) throw operator
  const held = `ssh-ed25519 ${operator.getPublicSSH().toString('base64')} you@laptop`
  for (const config of ['lithium.bu', 'hydrogen.ign'])
    edited(join(home, 'home', 'ignition', config), [[/ssh-ed25519 \S+ you@laptop/, held]])
  edited(join(home, 'home', 'k0sctl.yaml'), [
    ['user: core\n', `user: core\n        keyPath: ${lab.operatorKeyFile}\n`],
    // All of the lab's machines are at one address: the API has a port that is free there.
    ['api:\n', `api:\n          port: ${new URL(lab.kubernetes.url).port}\n`],
  ])

  // Without secrets the plan says what is missing, and nothing is asked of the NAS.
  const blind = await recover('cluster', join(home, 'home'), '--from-scratch', '--dry-run')
  expect(blind.exit, blind.stderr).toBe(3)
  expect(blind.stderr).toContain('RECOVER_SECRET_NAS_PASSWORD')

  Object.assign(environment, {
    CLOUDFLARE_API_TOKEN: 'a token of lithium.bu',
    RECOVER_SECRET_NAS_USERNAME: lab.nas.account,
    RECOVER_SECRET_NAS_PASSWORD: lab.nas.password,
    RECOVER_SECRET_ONEPASSWORD_CREDENTIALS: '{"verifier":"x","version":"2"}',
    RECOVER_SECRET_ONEPASSWORD_TOKEN: 'a token that nobody may see',
  })
  // Only the NAS is left to say which LUN is whose: the person looks at what it says, and puts it down.
  const looked = await recover('volumes', 'list', '--from', 'nas', '--file', join(home, 'home'), '--json')
  expect(looked.exit, looked.stderr).toBe(3)
  const { volumes } = JSON.parse(looked.stdout) as { volumes: { claim: string; luns: { lun: string }[] }[] }
  const luns = volumes.flatMap(v => v.luns.map(({ lun }) => `  ${v.claim}: ${lun}\n`))
  expect(luns).toHaveLength(3)
  appendFileSync(file, `luns:\n${luns.join('')}`)
  // Hydrogen has no installer running: the person puts in the stick beforehand, and its disk can be named in the plan.
  await order('/stick?name=hydrogen')
  const dry = await recover('cluster', join(home, 'home'), '--from-scratch', '--dry-run', '--json')
  expect(dry.exit, dry.stderr).toBe(0)
  const plan = JSON.parse(dry.stdout) as { hash: string; victims: { name: string }[] }
  // Lithium runs from memory, and its dead system's datastore was seen on its disk: that needs a word of its own.
  expect(plan.victims.map(v => v.name).sort()).toEqual([
    'hydrogen S4EVNX0M654321',
    'lithium /var/lib/k0s/db',
    'lithium S4EVNX0M123456',
  ])

  // Nobody at the terminal and nothing approved: nothing is done. Another plan approved: nothing is done.
  const nobody = await recover('cluster', join(home, 'home'), '--from-scratch')
  expect(nobody.exit).toBe(3)
  expect(nobody.stderr).toContain('[consent-missing]')
  const other = await recover(
    'cluster',
    join(home, 'home'),
    '--from-scratch',
    '--approve',
    'feedfeedfeedfeed',
  )
  expect(other.exit).toBe(3)
  expect(other.stderr).toContain('[plan-differs]')

  const done = await recover('cluster', join(home, 'home'), '--from-scratch', '--approve', plan.hash)
  expect(done.exit, done.stderr).toBe(0)
  expect(done.stderr).toContain('Volumes proven to hold what they held before: 3 of 3')
  expect(`${done.stdout}${done.stderr}`).not.toContain(lab.nas.password)
  expect(`${done.stdout}${done.stderr}`).not.toMatch(/a token (?:that nobody may see|of lithium\.bu)/)

  const status = await recover('status', '--json')
  expect(status.exit, status.stderr).toBe(0)
  const report = await recover('report')
  expect(report.stdout).toContain('by an approved plan')
})
