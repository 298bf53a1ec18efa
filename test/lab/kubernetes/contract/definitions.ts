import { describe, expect, test } from 'vitest'
import type { KubernetesObject } from '../../../../src/kubernetes/kubernetes.ts'
import { type Answer, type Connected, eventually, type Json } from '../cluster.ts'

const definitionPath = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
const widgetsPath = '/apis/example.com/v1/namespaces/default/widgets'

const schema = {
  type: 'object',
  properties: {
    spec: {
      type: 'object',
      required: ['size'],
      properties: {
        size: { type: 'integer', minimum: 1 },
        mode: { type: 'string', enum: ['slow', 'quick'], default: 'slow' },
        containers: { type: 'array', items: { type: 'object', properties: { name: { type: 'string' } } } },
        rules: {
          type: 'array',
          items: {
            type: 'object',
            required: ['name'],
            properties: { name: { type: 'string' }, value: { type: 'string' } },
          },
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['name'],
        },
        anything: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
      },
    },
    status: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
  },
}

const definition: KubernetesObject = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'widgets.example.com' },
  spec: {
    group: 'example.com',
    scope: 'Namespaced',
    names: { plural: 'widgets', kind: 'Widget' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        subresources: { status: {} },
        schema: { openAPIV3Schema: schema },
      },
    ],
  },
}

const widget = (name: string, spec: object): KubernetesObject => ({
  apiVersion: 'example.com/v1',
  kind: 'Widget',
  metadata: { name, namespace: 'default' },
  spec,
})

/** Kinds that a CustomResourceDefinition brings. */
export function definitions(cluster: Connected): void {
  const define = async (): Promise<KubernetesObject> => {
    const made = await cluster.api.writer.apply(definition)
    await eventually('the definition to be established', async () => {
      const { body } = await cluster.ask('GET', `${definitionPath}/widgets.example.com`)
      const conditions: { type: string; status: string }[] = body.status?.conditions ?? []
      return conditions.some(c => c.type === 'Established' && c.status === 'True') || undefined
    })
    // Established is not served yet: the server gets to know it a moment later.
    await eventually('the kind to be served', async () => {
      const { status } = await cluster.ask('GET', widgetsPath)
      return status === 200 || undefined
    })
    return made
  }

  describe('definitions', () => {
    test('bring a kind and take it, and everything of it, away', async () => {
      const { writer, reader } = cluster.api
      const one = widget('w', { size: 1, containers: [{ name: 'a' }] })
      await expect(writer.apply(one)).rejects.toMatchObject({ code: 'kind-not-served', transient: true })
      const made = await define()
      const { body } = await cluster.ask('GET', `${definitionPath}/widgets.example.com`)
      expect(body.status).toMatchObject({
        acceptedNames: { plural: 'widgets', singular: 'widget', kind: 'Widget', listKind: 'WidgetList' },
        storedVersions: ['v1'],
      })
      await writer.apply(one)
      expect(await reader.list(one)).toHaveLength(1)
      // A list that the definition gives no keys is taken whole.
      const other = { size: 1, containers: [{ name: 'b' }] }
      expect((await writer.apply(widget('w', other))).spec).toMatchObject(other)
      const strategic = 'application/strategic-merge-patch+json'
      const path = `${widgetsPath}/w`
      expect((await cluster.ask('PATCH', path, {}, strategic)).status).toBe(415)

      await writer.remove({ ...definition, name: 'widgets.example.com' }, made.metadata.uid ?? '')
      await eventually('the kind to be gone', async () => {
        const { status } = await cluster.ask('GET', path)
        const known = await cluster.ask('GET', '/apis/example.com/v1')
        return (status === 404 && known.status === 404) || undefined
      })
      await define()
      expect((await cluster.ask('GET', widgetsPath)).body.items).toEqual([])
    })

    test('that define nothing are refused', async () => {
      const { spec: _, ...empty } = definition
      const metadata = { name: 'gadgets.example.com' }
      expect((await cluster.apply('t', { ...empty, metadata } as KubernetesObject)).status).toBe(422)
      const misnamed = { ...definition, metadata }
      expect((await cluster.apply('t', misnamed)).body.message).toContain('must be spec.names.plural')
      const unknown = { ...structuredClone(definition), metadata } as Json
      unknown.spec.names = { plural: 'gadgets', kind: 'Gadget' }
      delete unknown.spec.versions[0].schema
      expect((await cluster.apply('t', unknown)).body.message).toBe(
        'CustomResourceDefinition.apiextensions.k8s.io "gadgets.example.com" is invalid: spec.versions[0].schema.openAPIV3Schema: Required value',
      )
    })

    test('say what an object may hold: what is wrong is named by field', async () => {
      await define()
      const refused = async (spec: object) => {
        const { status, body } = await cluster.ask('POST', widgetsPath, widget('wrong', spec))
        expect(status).toBe(422)
        return body.details.causes
          .filter((c: Json) => c.field !== '<nil>')
          .map((c: Json) => `${c.reason} ${c.field}: ${c.message}`)
      }
      expect(await refused({ mode: 'quick' })).toEqual(['FieldValueRequired spec.size: Required value'])
      expect(await refused({ size: 0 })).toEqual([
        'FieldValueInvalid spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1',
      ])
      expect(await refused({ size: 1, mode: 'odd' })).toEqual([
        'FieldValueNotSupported spec.mode: Unsupported value: "odd": supported values: "slow", "quick"',
      ])
      expect(await refused({ size: 'large' })).toEqual([
        'FieldValueTypeInvalid spec.size: Invalid value: "string": spec.size in body must be of type integer: "string"',
      ])
      const { body } = await cluster.ask('POST', widgetsPath, widget('wrong', { size: 0 }))
      expect(body.message).toBe(
        'Widget.example.com "wrong" is invalid: spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1',
      )
    })

    test('fill in what is missing, and drop what nobody defined', async () => {
      await define()
      const sent = { size: 2, extra: 1, anything: { goes: true } }
      const made = await cluster.ask('POST', widgetsPath, widget('lax', sent))
      expect(made.body.spec).toEqual({ size: 2, mode: 'slow', anything: { goes: true } })
      // By server-side apply both are mistakes.
      const failed = (answer: Answer<Json>) => [answer.status, answer.body.message]
      expect(failed(await cluster.apply('t', widget('lax', { size: 2, extra: 1 })))).toEqual([
        500,
        'failed to create typed patch object (default/lax; example.com/v1, Kind=Widget): .spec.extra: field not declared in schema',
      ])
      expect(failed(await cluster.apply('t', widget('lax', { size: 'large' })))).toEqual([
        500,
        'failed to create typed patch object (default/lax; example.com/v1, Kind=Widget): .spec.size: expected numeric (int or float), got string',
      ])
    })

    test('hold objects to their rules in CEL, also to what was there before', async () => {
      const ruled = structuredClone(definition) as Json
      ruled.metadata.name = 'gauges.example.com'
      ruled.spec.names = { plural: 'gauges', kind: 'Gauge' }
      const text = { type: 'string', maxLength: 20 }
      ruled.spec.versions[0].schema.openAPIV3Schema = {
        type: 'object',
        properties: {
          spec: {
            type: 'object',
            properties: {
              low: { type: 'integer' },
              high: { type: 'integer', default: 10 },
              unit: {
                ...text,
                'x-kubernetes-validations': [{ rule: 'self == oldSelf', message: 'the unit stays' }],
              },
              marks: { type: 'array', maxItems: 5, items: text },
            },
            'x-kubernetes-validations': [
              {
                rule: 'self.low <= self.high',
                messageExpression: "self.high == 10 ? 'low is above ten' : 'low is above high'",
              },
              { rule: '!has(self.marks) || self.marks.all(m, m.startsWith("at "))' },
              {
                rule: '!has(self.marks) || self.marks.size() < 3',
                message: 'too many',
                reason: 'FieldValueForbidden',
                fieldPath: '.marks',
              },
            ],
          },
        },
      }
      const path = '/apis/example.com/v1/namespaces/default/gauges'
      await cluster.api.writer.apply(ruled)
      await eventually('the kind to be served', async () => {
        const { status } = await cluster.ask('GET', path)
        return status === 200 || undefined
      })
      const gauge = (spec: object): KubernetesObject => ({
        apiVersion: 'example.com/v1',
        kind: 'Gauge',
        metadata: { name: 'g', namespace: 'default' },
        spec,
      })
      const said = async (spec: object) => {
        const { status, body } = await cluster.apply('t', gauge(spec))
        return status < 300 ? status : [status, body.message]
      }
      const about = (problem: string) => [422, `Gauge.example.com "g" is invalid: ${problem}`]
      expect(await said({ low: 11 })).toEqual(about('spec: Invalid value: low is above ten'))
      expect(await said({ low: 1, marks: ['at 1', '2'] })).toEqual(
        about('spec: Invalid value: failed rule: !has(self.marks) || self.marks.all(m, m.startsWith("at "))'),
      )
      expect(await said({ low: 1, marks: ['at 1', 'at 2', 'at 3'] })).toEqual(
        about('spec.marks: Forbidden: too many'),
      )
      expect(await said({ low: 1, unit: 'bar' })).toBe(201)
      expect(await said({ low: 2, unit: 'bar' })).toBe(200)
      expect(await said({ low: 2, unit: 'psi' })).toEqual(
        about('spec.unit: Invalid value: "psi": the unit stays'),
      )
      await expect(cluster.api.writer.apply(gauge({ low: 12 }), { force: true })).rejects.toMatchObject({
        code: 'manifest-refused',
      })
    })

    test('say by which key a list is merged', async () => {
      await define()
      const rules = (name: string) => widget('shared', { size: 1, rules: [{ name, value: '1' }] })
      await cluster.apply('first', rules('a'))
      const both = await cluster.apply('second', rules('b'))
      expect(both.body.spec.rules).toEqual([
        { name: 'a', value: '1' },
        { name: 'b', value: '1' },
      ])
      const taken = await cluster.apply(
        'third',
        widget('shared', { size: 1, rules: [{ name: 'a', value: '2' }] }),
      )
      expect(taken.body.message).toBe(
        'Apply failed with 1 conflict: conflict with "first": .spec.rules[name="a"].value',
      )
    })
  })
}
