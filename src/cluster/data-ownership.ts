import type { FoundObject } from './found-objects.ts'
import type { RemoteDependency } from './kustomization.ts'
import { get, list, mountsOf, templateClaims } from './manifest-fields.ts'
import { isForeseen, kindOf, operatorClaims } from './operator-claims.ts'

/** A claim, and what keeps its data in it. */
export interface OwnedClaim {
  /** `namespace/name`. */
  claim: string
  /** `Deployment grafana/grafana`; the claim itself where nothing here mounts it. */
  by: string
}

/** What some manifests mean for data. */
export interface Ownership {
  owned: OwnedClaim[]
  /** What may make claims of which these manifests do not tell; a noun and what is known of it. */
  doubts: string[]
}

/**
 * Who owns data among these objects: whose pods mount which claim, which StatefulSet or operator makes one. What is not
 * known to make none is a doubt.
 * @param remote what belongs to them and is not rendered
 */
export function ownershipOf(objects: FoundObject[], remote: RemoteDependency[]): Ownership {
  const owned = objects.flatMap(claimsOf)
  const mounted = new Set(owned.filter(o => !o.by.startsWith('PersistentVolumeClaim ')).map(o => o.claim))
  return {
    // The claim itself is named only where nobody mounts it.
    owned: owned.filter(o => !o.by.startsWith('PersistentVolumeClaim ') || !mounted.has(o.claim)),
    doubts: [...new Set([...objects.flatMap(doubtOf), ...remote.flatMap(doubtAbout)])],
  }
}

function claimsOf(object: FoundObject): OwnedClaim[] {
  const namespace = object.namespace ?? 'default'
  const by = `${object.kind} ${namespace}/${object.name}`
  if (object.kind === 'PersistentVolumeClaim') return [{ claim: `${namespace}/${object.name}`, by }]
  const templates =
    object.kind === 'StatefulSet'
      ? templateClaims(object, '', {
          set: object.name,
          replicas: get(object.value, 'spec', 'replicas'),
          templates: list(get(object.value, 'spec', 'volumeClaimTemplates')),
        })
      : operatorClaims(object, '')
  return [...mountsOf(object).map(name => `${namespace}/${name}`), ...templates.map(c => c.id)].map(
    claim => ({
      claim,
      by,
    }),
  )
}

/** Groups whose objects make no claims, unless their specification speaks of storage. */
const groupsWithoutData = [
  'argoproj.io',
  'cert-manager.io',
  'acme.cert-manager.io',
  'cilium.io',
  'onepassword.com',
  'external-secrets.io',
  'generators.external-secrets.io',
  'bitnami.com',
  'traefik.io',
  'traefik.containo.us',
  'metallb.io',
  'monitoring.coreos.com',
  'opentelemetry.io',
  'kyverno.io',
  'externaldns.k8s.io',
  'haproxy.org',
  'ingress.v3.haproxy.org',
  'projectcontour.io',
  'cni.cncf.io',
  'keda.sh',
  'fluentd.fluent.io',
  'upgrade.cattle.io',
  'node.k0sproject.io',
  'autopilot.k0sproject.io',
  'postgresql.cnpg.io',
]

/** Fields by which a custom resource asks for claims, in the operators that there are. */
const storageField =
  /^(?:volumeClaimTemplates?|persistentVolumeClaim(?:Spec|Template)?|pvc|pvcTemplate|claimName|existingClaim|storageClass(?:Name)?|dataVolumeTemplates|persistence|storage)$/

/** Custom resources that may make claims; the built-in kinds that do were looked through already. */
function doubtOf(object: FoundObject): string[] {
  const [group = ''] = kindOf(object).split('/')
  const builtIn = !group.includes('.') || group.endsWith('.k8s.io') || group === 'k8s.io'
  if (builtIn || isForeseen(object)) return []
  const what = `${object.kind} ${object.namespace === undefined ? '' : `${object.namespace}/`}${object.name}`
  const field = storageFieldIn(object.value.spec)
  if (field !== undefined) return [`${what} (${group}), which asks for storage in its field ${field}`]
  const known = groupsWithoutData.some(g => group === g || group.endsWith(`.${g}`))
  return known ? [] : [`${what} (${group}), a kind of which recover does not know whether it makes claims`]
}

function storageFieldIn(value: unknown): string | undefined {
  if (value === null || typeof value !== 'object') return undefined
  for (const [key, inner] of Object.entries(value)) {
    // Switched off, or nothing to keep.
    const off = inner === null || inner === false || get(inner, 'enabled') === false
    if (!Array.isArray(value) && storageField.test(key) && !off) return key
    const deeper = storageFieldIn(inner)
    if (deeper !== undefined) return deeper
  }
  return undefined
}

/** Names of charts and bases that own no data: drivers, operators, controllers, exporters. */
const withoutData =
  /csi|operator|controller|ingress|cert-manager|issuer|traefik|metallb|kube-vip|cilium|calico|flannel|coredns|external-dns|external-secrets|sealed-secrets|1password|onepassword|connect|reflector|reloader|metrics-server|node-feature-discovery|device-plugin|descheduler|kured|kyverno|crds?\b|gateway-api|exporter|kube-state-metrics|cloudflared|argo-?cd|system-upgrade|keda|snapshot/i

function doubtAbout({ kind, what, repository }: RemoteDependency): string[] {
  if (withoutData.test(`${what.replace(/^https?:\/\/[^/]+/, '')} ${repository?.split('/').at(-1) ?? ''}`))
    return []
  return [`the ${kind} ${what}, which is not rendered here`]
}
