import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Mask } from '../../src/secrets/mask.ts'

function masking(...values: string[]): Mask {
  const mask = new Mask()
  for (const value of values) mask.register(value)
  return mask
}

const placeholder = '‹secret›'

/** How a secret turns up in other programs' output; written without the code under test. */
const forms: Record<string, (secret: string) => string> = {
  plain: s => s,
  base64: s => Buffer.from(s).toString('base64'),
  base64url: s => Buffer.from(s).toString('base64url'),
  uri: s => encodeURIComponent(Buffer.from(s).toString()),
  form: s => String(new URLSearchParams({ p: Buffer.from(s).toString() })).slice(2),
  json: s => JSON.stringify(s).slice(1, -1),
  jsonInJson: s => JSON.stringify(JSON.stringify(s)).slice(3, -3),
}

const typical = fc.constantFrom(
  'hunter2!',
  'p@ss "word" \\ back',
  'a+b/c=d&e?f',
  'naïve—ключ—秘密',
  '🔑🔑🔑🔑',
  "it's(a)*test!",
  '0123456789',
  '<b>&amp;</b>',
)
const privateKey = fc
  .array(fc.stringMatching(/^[A-Za-z0-9+/]{8,64}$/), { minLength: 2, maxLength: 6 })
  .map(
    lines => `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines.join('\n')}\n-----END OPENSSH PRIVATE KEY-----\n`,
  )
const anything = fc
  .oneof(
    fc.string({ minLength: 4, maxLength: 40 }),
    fc.string({ minLength: 4, maxLength: 20, unit: 'binary' }),
    fc.string({ minLength: 4, maxLength: 20, unit: 'grapheme' }),
  )
  // A part of the placeholder itself cannot be told from it, and nobody's password has its brackets.
  .filter(s => s.trim().length >= 4 && !/[‹›]/.test(s) && !placeholder.includes(s.trim()))
const secret = fc.oneof(typical, privateKey, anything)
const around = fc.string({ maxLength: 30, unit: 'grapheme' }).map(s => s.replaceAll(/[‹›]/g, ''))

describe('masking by value', () => {
  test('a registered secret survives in no form, wherever it stands', () => {
    fc.assert(
      fc.property(
        secret,
        fc.constantFrom(...Object.keys(forms)),
        around,
        around,
        (value, form, before, after) => {
          const written = forms[form]!(value)
          const masked = masking(value).text(before + written + after)
          expect(masked).toContain(placeholder)
          for (const write of Object.values(forms)) expect(masked).not.toContain(write(value))
        },
      ),
      { numRuns: 1500 },
    )
  })

  test('of several secrets none survives, not even where they overlap', () => {
    fc.assert(
      fc.property(
        fc.array(secret, { minLength: 2, maxLength: 5 }),
        fc.array(fc.nat(20)),
        around,
        (values, order, glue) => {
          const mask = masking(...values)
          const text = order.map(i => values[i % values.length]!).join(glue) + values.join('')
          const masked = mask.text(text)
          for (const value of values) expect(masked).not.toContain(value)
        },
      ),
      { numRuns: 500 },
    )
  })

  test('overlapping secrets leave no rest of either', () => {
    expect(masking('abcdef', 'defghi').text('<abcdefghi>')).toBe('<‹secret›>')
    expect(masking('abab').text('<ababab>')).toBe('<‹secret›>')
    expect(masking('password', 'password-long').text('password-long password')).toBe('‹secret› ‹secret›')
  })

  test('what is masked stays as it is when it is masked again', () => {
    fc.assert(
      fc.property(fc.array(secret, { maxLength: 4 }), around, (values, before) => {
        const mask = masking('secret', ...values)
        const once = mask.text(`${before}secret ${values.join(' ')}`)
        expect(mask.text(once)).toBe(once)
      }),
    )
  })

  test('a secret inside something longer that was encoded is found at every alignment', () => {
    fc.assert(
      fc.property(
        fc.stringMatching(/^[ -~]{6,30}$/).filter(s => s.trim().length >= 6),
        fc.nat(6),
        fc.nat(6),
        fc.constantFrom('base64' as const, 'base64url' as const),
        (value, before, after, encoding) => {
          const whole = Buffer.from(`${'u'.repeat(before)}${value}${'z'.repeat(after)}`).toString(encoding)
          const masked = masking(value).text(`Authorization: Basic ${whole}`)
          expect(masked).toContain(placeholder)
          expect(masked).not.toContain(whole)
          // At most the two characters at the seams, which mix the secret with its neighbours, are left of it.
          const left = masked
            .slice('Authorization: Basic '.length)
            .replace(placeholder, '')
            .replaceAll('=', '')
          expect(left.length).toBeLessThanOrEqual(
            Math.ceil((before * 8) / 6) + Math.ceil((after * 8) / 6) + 2,
          )
        },
      ),
    )
  })

  test('each line of a private key is found by itself, indented or not', () => {
    const key =
      '-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU\nAAAAtzc2gtZWQyNTUxOQ\nshort\n-----END…-----\n'
    const mask = masking(key)
    expect(mask.text('  b3BlbnNzaC1rZXktdjEAAAAABG5vbmU')).toBe('  ‹secret›')
    expect(mask.text('key: AAAAtzc2gtZWQyNTUxOQ;')).toBe('key: ‹secret›;')
    expect(mask.text('short')).toBe('short')
    expect(mask.text(key.replaceAll('\n', '\r\n'))).not.toContain('b3BlbnNzaC1rZXk')
    expect(mask.text(key)).not.toContain('b3BlbnNzaC1rZXk')
  })

  test('as Go and Python write JSON, and with percent codes in lower case', () => {
    const mask = masking('a<b>&ключ/x')
    expect(mask.text('"a\\u003cb\\u003e\\u0026ключ/x"')).toBe('"‹secret›"')
    expect(mask.text('"a<b>&\\u043a\\u043b\\u044e\\u0447/x"')).toBe('"‹secret›"')
    expect(mask.text('?p=a%3cb%3e%26%d0%ba%d0%bb%d1%8e%d1%87%2fx&q')).toBe('?p=‹secret›&q')
  })

  test('a value read with its line end is also found without it', () => {
    expect(masking('pass\n').text('pass word')).toBe('‹secret› word')
  })

  test('what is too short or blank is left alone, and so is all else', () => {
    expect(masking('abc', '', '       ', '\n\n\n\n').text('abc        x\n\n\n\n\n')).toBe(
      'abc        x\n\n\n\n\n',
    )
    expect(masking('hunter2!').text('nothing to see')).toBe('nothing to see')
    expect(new Mask().text('hunter2!')).toBe('hunter2!')
  })

  test('json: masks keys and texts at any depth, keeps the rest, and does not touch what it was given', () => {
    const value = {
      'hunter2!': [{ deep: 'x hunter2! y', at: new Date(0) }],
      bytes: 40960000,
      none: null,
      yes: true,
      gone: undefined,
    }
    const mask = masking('hunter2!', '4096')
    expect(mask.json(value)).toEqual({
      '‹secret›': [{ deep: 'x ‹secret› y', at: '1970-01-01T00:00:00.000Z' }],
      bytes: 40960000,
      none: null,
      yes: true,
      gone: undefined,
    })
    expect(value['hunter2!'][0]!.deep).toBe('x hunter2! y')
  })

  test('json: no text in any JSON value lets a secret through', () => {
    fc.assert(
      fc.property(secret, fc.jsonValue(), around, (value, other, before) => {
        const masked = JSON.stringify(
          masking(value).json({ other, list: [before + value], [value + before]: { base64: btoaOf(value) } }),
        )
        expect(() => JSON.parse(masked)).not.toThrow()
        const texts: string[] = []
        JSON.parse(masked, (key, item) => {
          texts.push(key)
          if (typeof item === 'string') texts.push(item)
          return item as unknown
        })
        for (const text of texts) {
          expect(text).not.toContain(value)
          expect(text).not.toContain(btoaOf(value))
        }
      }),
    )
  })
})

const btoaOf = (text: string) => Buffer.from(text).toString('base64')
