import type { DocumentOptions, ParseOptions, ScalarTag, SchemaOptions, TagId, Tags } from 'yaml'

const tag = (of: 'int' | 'float') => `tag:yaml.org,2002:${of}`

const octal: ScalarTag = {
  tag: tag('int'),
  default: true,
  format: 'OCT',
  test: /^[-+]?0o[0-7_]+$/,
  resolve: text => {
    const digits = Number.parseInt(text.replaceAll('_', '').replace(/^[-+]?0o/, ''), 8)
    return text.startsWith('-') ? -digits : digits
  },
}

/** YAML 1.1 takes numbers with colons and days for more than text; go-yaml does not. It takes a lone dot for text. */
function asInGo(tags: Tags): Tags {
  const kept = tags.filter(
    (t): t is Exclude<typeof t, TagId> =>
      typeof t !== 'string' &&
      t.tag !== 'tag:yaml.org,2002:timestamp' &&
      !('format' in t && t.format === 'TIME'),
  )
  return [
    octal,
    ...kept.map(t =>
      t.tag === tag('float') && 'test' in t && t.test?.test('.')
        ? { ...t, test: /^[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9_]+)$/ }
        : t,
    ),
  ]
}

/**
 * YAML as Kubernetes' own programs read it: kubectl, helm, Argo CD and k0sctl have go-yaml 2, to which `0644` is an octal
 * number and `yes` is true, as in YAML 1.1; what this library takes by default would make a file's mode 644 of it. Read and
 * written so, a text means to us what it means to them (compared with a real kubectl in test/kubernetes/go-yaml.test.ts).
 */
export const goYaml: ParseOptions & DocumentOptions & SchemaOptions = {
  version: '1.1',
  merge: true,
  customTags: asInGo,
}
