import { groupVersionOf, type ResourceType } from './resources.ts'
import { StatusError } from './status-error.ts'

// What `kubectl get all` means by all.
const inAll = [
  'pods',
  'services',
  'daemonsets',
  'deployments',
  'replicasets',
  'statefulsets',
  'horizontalpodautoscalers',
  'cronjobs',
  'jobs',
]

/** What the server says at a path of discovery: groups, versions, resources, OpenAPI. Undefined for every other path. */
export function discovered(types: ResourceType[], path: string): object | undefined {
  if (path === '/api') return { kind: 'APIVersions', versions: ['v1'] }
  if (path === '/openapi/v3') return openApiIndex(types)
  if (path.startsWith('/openapi/v3/'))
    return openApiOf(types.filter(t => rootOf(t) === path.slice('/openapi/v3'.length)))
  if (path === '/apis') {
    const groups = new Map<string, Set<string>>()
    for (const t of types)
      if (t.group !== '') groups.set(t.group, (groups.get(t.group) ?? new Set()).add(t.version))
    return {
      kind: 'APIGroupList',
      apiVersion: 'v1',
      groups: [...groups].map(([name, versions]) => groupOf(name, [...versions])),
    }
  }
  const match = /^\/api(?:s\/([^/]+))?\/(v[^/]+)$/.exec(path)
  if (match) {
    const groupVersion = match[1] === undefined ? match[2] : `${match[1]}/${match[2]}`
    const served = types.filter(t => groupVersionOf(t) === groupVersion)
    if (served.length === 0)
      throw new StatusError(404, 'NotFound', 'the server could not find the requested resource')
    return {
      kind: 'APIResourceList',
      apiVersion: 'v1',
      groupVersion,
      resources: served.flatMap(t => [resourceOf(t), ...(t.status ? [subresourceOf(t, 'status')] : [])]),
    }
  }
  const group = /^\/apis\/([^/]+)$/.exec(path)
  if (!group) return undefined
  const versions = [...new Set(types.filter(t => t.group === group[1]).map(t => t.version))]
  if (versions.length === 0)
    throw new StatusError(404, 'NotFound', 'the server could not find the requested resource')
  return { apiVersion: 'v1', ...groupOf(group[1] ?? '', versions) }
}

function groupOf(name: string, versions: string[]): object {
  const shownVersions = versions.map(version => ({ groupVersion: `${name}/${version}`, version }))
  return { kind: 'APIGroup', name, versions: shownVersions, preferredVersion: shownVersions[0] }
}

function resourceOf(t: ResourceType): object {
  return {
    name: t.plural,
    singularName: t.kind.toLowerCase(),
    namespaced: t.namespaced,
    kind: t.kind,
    shortNames: t.shortNames,
    ...(inAll.includes(t.plural) ? { categories: ['all'] } : {}),
    verbs: ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'],
  }
}

function subresourceOf(t: ResourceType, name: string): object {
  return {
    name: `${t.plural}/${name}`,
    singularName: '',
    namespaced: t.namespaced,
    kind: t.kind,
    verbs: ['get', 'patch', 'update'],
  }
}

function rootOf(t: ResourceType): string {
  return t.group === '' ? `/api/${t.version}` : `/apis/${t.group}/${t.version}`
}

function openApiIndex(types: ResourceType[]): object {
  const roots = [...new Set(types.map(rootOf))]
  return {
    paths: Object.fromEntries(
      roots.map(root => [root.slice(1), { serverRelativeURL: `/openapi/v3${root}?hash=lab` }]),
    ),
  }
}

/** As much of a description as kubectl wants before it leaves the validation of fields to the server. */
function openApiOf(types: ResourceType[]): object {
  const patch = (t: ResourceType) => ({
    parameters: [{ name: 'fieldValidation', in: 'query', schema: { type: 'string', uniqueItems: true } }],
    responses: {},
    'x-kubernetes-action': 'patch',
    'x-kubernetes-group-version-kind': { group: t.group, version: t.version, kind: t.kind },
  })
  return {
    openapi: '3.0.0',
    info: { title: 'lab', version: '1' },
    paths: Object.fromEntries(
      types.map(t => [
        `${rootOf(t)}${t.namespaced ? '/namespaces/{namespace}' : ''}/${t.plural}/{name}`,
        { patch: patch(t) },
      ]),
    ),
  }
}
