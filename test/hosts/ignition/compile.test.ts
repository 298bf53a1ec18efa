/** biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables of Butane files */
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { hostIgnition, type IgnitionSource } from '../../../src/hosts/ignition/compile.ts'
import { inlineText } from '../../../src/hosts/ignition/config.ts'
import { openSecrets } from '../../../src/secrets/resolve.ts'
import { scratch } from '../../runbook/harness.ts'

const never = new AbortController().signal
const token = 'swordfish-token-0042'

function source(name: string, text: string, more: Partial<IgnitionSource> = {}): IgnitionSource {
  const file = join(scratch('ignition'), name)
  writeFileSync(file, text)
  return {
    file,
    shown: name,
    lookup: async variable => (variable === 'TOKEN' ? { value: token } : { missing: 'nobody knows it' }),
    conceal: said => said.replaceAll(token, '‹secret›'),
    ...more,
  }
}

const head = 'variant: flatcar\nversion: 1.1.0\n'

describe('a host’s config', () => {
  test('a ready-made one is taken as it is, text of a shell and all', async () => {
    const text =
      '{"ignition":{"version":"3.4.0"},"systemd":{"units":[{"name":"a.service","contents":"${TOKEN}"}]}}'
    const made = await hostIgnition(source('a.ign', text), never)
    expect(made).toMatchObject({ text, by: 'ready-made', warnings: [] })
  })

  test('a Butane file gets its values, its local files and the image’s experimental spec', async () => {
    const butane = source(
      'a.bu',
      'variant: flatcar\nversion: 1.2.0-experimental\nstorage:\n  files:\n    - { path: /a, contents: { inline: "t=${TOKEN}" } }\n    - { path: /b, contents: { local: b.txt } }\n',
      { spec: '3.6.0-experimental' },
    )
    writeFileSync(join(butane.file, '..', 'b.txt'), 'from beside')
    const made = await hostIgnition(butane, never)
    expect(made.config.ignition.version).toBe('3.6.0-experimental')
    expect(made.config.storage?.files?.map(f => inlineText(f.contents))).toEqual([
      `t=${token}`,
      'from beside',
    ])
    expect(made.by).toBe('built-in')
  })

  test('a secret in the text itself is told without being shown; one that a source gives is none', async () => {
    const written = `ghp_${'0123456789'.repeat(4)}`
    const body = `storage:\n  files:\n    - { path: /a, contents: { inline: "${written}" } }\n    - { path: /b, contents: { inline: "token=\${TOKEN}" } }\n`
    const { dangers } = await hostIgnition(source('a.bu', `${head}${body}`), never)
    expect(dangers.map(d => [d.kind, d.line])).toEqual([['secret-inline', 5]])
    expect(JSON.stringify(dangers)).not.toContain(written)
  })

  test('what does not compile is told with its place, and without the secret that is in the way', async () => {
    const wrong = source('a.bu', `${head}storage:\n  files:\n    - path: relative-\${TOKEN}\n`)
    const fault = await hostIgnition(wrong, never).catch(e => e)
    expect(fault).toMatchObject({ code: 'butane-failed', at: 'a.bu:5:13' })
    expect(`${fault.message}${fault.remedy}`).not.toContain(token)
    const gone = source(
      'a.bu',
      `${head}storage:\n  files:\n    - { path: /a, contents: { local: secret.key } }\n`,
    )
    await expect(hostIgnition(gone, never)).rejects.toMatchObject({
      code: 'butane-failed',
      remedy: expect.stringMatching(/secret\.key back: Git may ignore it/),
    })
    await expect(
      hostIgnition(source('a.bu', `${head}# \${X}\nx: \${UNKNOWN}\n`), never),
    ).rejects.toMatchObject({
      code: 'ignition-variable-unset',
      message: expect.stringContaining('a.bu:4:4 ${UNKNOWN}: nobody knows it'),
    })
  })
})

describe('a program butane', () => {
  /** A program that writes down how it was called, and says what it is told to. */
  function program(says: string): { program: string; seen: string } {
    const folder = scratch('butane')
    const [file, seen] = [join(folder, 'butane'), join(folder, 'seen')]
    mkdirSync(seen)
    writeFileSync(
      file,
      `#!/bin/sh\nprintf '%s\\n' "$@" >'${seen}/argv'\nenv >'${seen}/env'\ncat >'${seen}/stdin'\n${says}\n`,
    )
    chmodSync(file, 0o755)
    return { program: file, seen }
  }

  test('is given the text by its standard input, secrets nowhere else', async () => {
    process.env.RECOVER_SECRET_NAS_PASSWORD = token
    try {
      const one = program(
        `echo 'warning at $.storage, line 3 col 1: unused key x ${token}' >&2; echo '{"ignition":{"version":"3.4.0"}}'`,
      )
      const made = await hostIgnition(
        source('a.bu', `${head}x: \${TOKEN}\n`, { program: one.program }),
        never,
      )
      expect(made).toMatchObject({
        by: 'program',
        warnings: [{ path: '$.storage', line: 3, column: 1, text: 'unused key x ‹secret›' }],
      })
      expect(readFileSync(join(one.seen, 'stdin'), 'utf8')).toBe(`${head}x: ${token}\n`)
      for (const name of ['argv', 'env'])
        expect(readFileSync(join(one.seen, name), 'utf8')).not.toContain(token)
      expect(readFileSync(join(one.seen, 'argv'), 'utf8')).toMatch(/^--files-dir\n\/.*\n$/)
    } finally {
      delete process.env.RECOVER_SECRET_NAS_PASSWORD
    }
  })

  test('that fails is heard, without the lines of the file that it quotes; that is not there is named', async () => {
    const one = program(
      `printf 'error[$.x]:\\n  --> <stdin>:3:4\\n   |\\n 3 | x: ${token}\\n   |    ^ bad ${token}\\nError translating config: source config is invalid\\n' >&2; exit 1`,
    )
    const fault = await hostIgnition(source('a.bu', head, { program: one.program }), never).catch(e => e)
    expect(fault.code).toBe('butane-failed')
    expect(fault.message).toContain('<stdin>:3:4')
    expect(fault.message).toContain('source config is invalid')
    expect(`${fault.message}${fault.cause}`).not.toContain(token)
    await expect(
      hostIgnition(source('a.bu', head, { program: '/nowhere/butane' }), never),
    ).rejects.toMatchObject({ code: 'butane-missing' })
  })

  test('that comes to no end, or is no butane at all, is told as what it is', async () => {
    const run = (says: string) =>
      hostIgnition(
        source('a.bu', `${head}# \${TOKEN}\n`, { program: program(says).program, programTimeoutMs: 300 }),
        never,
      ).catch(e => e)
    const hangs = await run('exec sleep 60')
    expect(hangs).toMatchObject({ code: 'butane-silent', message: expect.stringContaining('within 0.3 s') })
    for (const says of ['echo welcome', "echo '{}'", `echo '"${token}"'`, 'true']) {
      const strange = await run(says)
      expect(strange).toMatchObject({ code: 'butane-strange', remedy: expect.stringContaining('--version') })
      expect(`${strange.message}${strange.cause}`).not.toContain(token)
    }
  })
})

test('variables come from the environment by their own names, except those of every shell; names of hosts are no secret', async () => {
  const env = { CLOUDFLARE: token, HOME: '/home/you', NODE: 'lithium', RECOVER_SECRET_IGNITION_HOME: '/root' }
  const secrets = openSecrets({ from: ['environment'], env, open: ['home', 'lithium'] })
  expect(await secrets.field('ignition', 'CLOUDFLARE')).toBe(token)
  expect(await secrets.field('ignition', 'HOME')).toBe('/root')
  expect(await secrets.has('ignition', 'PATH')).toBe(false)
  expect(await secrets.has('nas', 'CLOUDFLARE')).toBe(false)
  expect(await secrets.field('ignition', 'NODE')).toBe('lithium')
  expect(secrets.mask.text(`${token} on lithium`)).toBe('‹secret› on lithium')
})
