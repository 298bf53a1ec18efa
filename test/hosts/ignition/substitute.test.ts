/** biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are the variables of the files under test */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { type Lookup, substitute, variablesIn } from '../../../src/hosts/ignition/substitute.ts'
import { Fault } from '../../../src/runbook/fault.ts'

const known =
  (values: Record<string, string>): Lookup =>
  async name =>
    values[name] === undefined ? { missing: `nobody knows ${name}` } : { value: values[name] }

const filled = (text: string, values: Record<string, string>) => substitute(text, 'lithium.bu', known(values))

const file = `variant: flatcar
version: 1.1.0
storage:
  files:
    - path: /etc/plain
      mode: \${MODE}
      contents: { inline: \${TOKEN} }
    - path: "/etc/double-\${TOKEN}"
      contents:
        inline: 'single \${TOKEN}'
    - path: /etc/block # \${NOT_A_VALUE}
      contents:
        inline: |
          # a shell's comment \${TOKEN}
          echo $HOME \${lower} \${TOKEN:-default} $\${SYSTEMD} \${DOLLAR}{PATH}

    - path: /etc/folded
      contents:
        inline: >-
          one \${TOKEN}
          two
passwd:
  users:
    - name: core
      ssh_authorized_keys: [ \${KEY}, \${TOKEN} ]
`

const meant = (token: string) => ({
  variant: 'flatcar',
  version: '1.1.0',
  storage: {
    files: [
      { path: '/etc/plain', mode: 0o644, contents: { inline: token } },
      { path: `/etc/double-${token}`, contents: { inline: `single ${token}` } },
      {
        path: '/etc/block',
        contents: {
          inline: `# a shell's comment ${token}\necho $HOME \${lower} \${TOKEN:-default} $\${SYSTEMD} \${PATH}\n`,
        },
      },
      { path: '/etc/folded', contents: { inline: `one ${token} two` } },
    ],
  },
  passwd: { users: [{ name: 'core', ssh_authorized_keys: ['ssh-ed25519 AAAA you@laptop', token] }] },
})

const key = 'ssh-ed25519 AAAA you@laptop'

describe('variables of a Butane file', () => {
  test('are replaced wherever a value is, and what is the machine’s own stays', async () => {
    const text = await filled(file, { MODE: '0o644', TOKEN: 'abc', KEY: key })
    expect(parse(text)).toEqual(meant('abc'))
    expect(text).toContain('# ${NOT_A_VALUE}')
    expect(text).toContain('mode: 0o644\n')
  })

  test.each([
    ['a colon', 'a: b'],
    ['a comment', 'a #b'],
    ['quotes and backslashes', `"'\\n\\`],
    ['several lines', '-----BEGIN KEY-----\nabc\n\n  def\n-----END KEY-----\n'],
    ['YAML', '- x\n- {y: z}'],
    ['nothing', '~'],
    ['a merge key', '<<'],
    ['blanks at its edges', '  x '],
    ['control characters', 'a\tb\u0007\u0085\u2028c'],
    ['a placeholder of its own', '${TOKEN}'],
    ['replacement patterns', '$& $1 $$'],
    ['letters of the private use area', '\ue000\ue000\ue001'],
    ['an emoji', '🔑 é'],
  ])('keep the file as it is meant with %s in a value', async (_, token) => {
    const text = await filled(file, { MODE: '0o644', TOKEN: token, KEY: key })
    expect(parse(text)).toEqual(meant(token))
    expect(text.split('\n')).toHaveLength(file.split('\n').length)
  })

  test('whatever a value holds, the file says it and nothing else', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 }), async token => {
        const number =
          Number.isNaN(Number(token)) === false || /^(true|false)$/i.test(token) || /^0o/.test(token)
        fc.pre(!number && !/[\ud800-\udfff]/u.test(token.replaceAll(/[\ud800-\udbff][\udc00-\udfff]/g, '')))
        expect(parse(await filled(file, { MODE: '0o644', TOKEN: token, KEY: key }))).toEqual(meant(token))
      }),
      { numRuns: 150 },
    )
  })

  test('a number without quotes is a number, between quotes it is a text', async () => {
    expect(parse(await filled('a: ${N}\nb: "${N}"', { N: '0x10' }))).toEqual({ a: 16, b: '0x10' })
  })

  test('every unset or empty one is told at once, with its places', async () => {
    const refused = await filled('a: ${ONE}\nb:\n  - ${TWO} ${ONE}\n# ${COMMENT}\n', { TWO: '' }).catch(
      e => e,
    )
    expect(refused).toBeInstanceOf(Fault)
    expect(refused.code).toBe('ignition-variable-unset')
    expect(refused.message).toContain('lithium.bu:1:4, lithium.bu:3:12 ${ONE}: nobody knows ONE')
    expect(refused.message).toContain('lithium.bu:3:5 ${TWO}: it is empty')
    expect(refused.message).not.toContain('COMMENT')
    expect(refused.remedy).toContain('ONE, TWO')
    expect(refused.at).toBe('lithium.bu:1:4')
  })

  test('one where no value can be is refused, as is a file that is no YAML', async () => {
    await expect(filled('a: *${X}\n', { X: 'x' })).rejects.toMatchObject({
      code: expect.stringMatching(/misplaced|unreadable/),
    })
    await expect(filled('a: "${X}\n', { X: 'x' })).rejects.toMatchObject({
      code: 'butane-unreadable',
      at: expect.stringMatching(/^lithium\.bu:\d+:\d+$/),
    })
  })

  test('a file without variables is not touched, YAML or not', async () => {
    expect(await filled('a: "b\n$HOME $${X} ${DOLLAR', {})).toBe('a: "b\n$HOME $${X} ${DOLLAR')
    expect(variablesIn(file)).toEqual(['MODE', 'TOKEN', 'NOT_A_VALUE', 'KEY'])
  })
})
