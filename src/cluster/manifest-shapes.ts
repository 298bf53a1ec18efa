import { z } from 'zod'
import { type Problem, problemOf } from './problem.ts'

const text = z.string()
/** Of a home: what is made for each of them is made in memory. */
const count = z.number().int().min(0).max(1000).nullish()
const size = z.union([z.string(), z.number()])
const named = z.looseObject({ name: text.min(1), namespace: text.nullish() })
const anything = z.looseObject({
  metadata: z.looseObject({ name: text.optional(), namespace: text.nullish() }).optional(),
})
const modes = z.array(text).nullish()
const claimSpec = z.looseObject({
  accessModes: modes,
  storageClassName: text.optional(),
  volumeName: text.optional(),
  resources: z.looseObject({ requests: z.looseObject({ storage: size.optional() }).nullish() }).nullish(),
})
const claimTemplate = z.looseObject({
  metadata: z.looseObject({ name: text.optional() }).nullish(),
  spec: claimSpec.nullish(),
})
const source = z.looseObject({
  repoURL: text.optional(),
  path: text.optional(),
  chart: text.optional(),
  targetRevision: text.optional(),
})
const applicationSpec = z.looseObject({
  project: text.optional(),
  source: source.optional(),
  sources: z.array(source).optional(),
  destination: z.looseObject({ namespace: text.optional() }).optional(),
})
const storage = z.looseObject({
  size: size.optional(),
  storageClass: text.optional(),
  pvcTemplate: claimSpec.nullish(),
})
const monitoring = z.looseObject({
  metadata: named,
  spec: z
    .looseObject({
      replicas: count,
      shards: count,
      storage: z
        .looseObject({
          volumeClaimTemplate: z
            .looseObject({
              metadata: z.looseObject({ name: text.optional() }).nullish(),
              spec: claimSpec.nullish(),
            })
            .nullish(),
        })
        .nullish(),
    })
    .nullish(),
})

/**
 * What recover reads of an object, by its API group and kind, in the types that Kubernetes or its operator takes: an object that is
 * anything else could not be applied, and a claim that was read wrongly could be taken for another.
 */
const shapes: Record<string, z.ZodType> = {
  'argoproj.io/Application': z.looseObject({ metadata: named, spec: applicationSpec.nullish() }),
  'argoproj.io/AppProject': z.looseObject({ metadata: named }),
  'argoproj.io/ApplicationSet': z.looseObject({
    metadata: named,
    spec: z
      .looseObject({
        generators: z
          .array(
            z.looseObject({
              git: z
                .looseObject({
                  directories: z
                    .array(z.looseObject({ path: text, exclude: z.boolean().nullish() }))
                    .nullish(),
                })
                .nullish(),
              list: z.looseObject({ elements: z.array(z.looseObject({})).nullish() }).nullish(),
            }),
          )
          .nullish(),
        template: z
          .looseObject({ metadata: z.looseObject({}).nullish(), spec: z.looseObject({}).nullish() })
          .nullish(),
      })
      .nullish(),
  }),
  'kustomize.toolkit.fluxcd.io/Kustomization': z.looseObject({
    metadata: named,
    spec: z
      .looseObject({
        path: text.optional(),
        targetNamespace: text.optional(),
        dependsOn: z.array(z.looseObject({ name: text, namespace: text.optional() })).nullish(),
        sourceRef: z.looseObject({ kind: text.optional(), name: text.optional() }).nullish(),
      })
      .nullish(),
  }),
  '/PersistentVolumeClaim': z.looseObject({ metadata: named, spec: claimSpec.nullish() }),
  '/PersistentVolume': z.looseObject({
    metadata: named,
    spec: z
      .looseObject({
        claimRef: z.looseObject({ namespace: text.optional(), name: text.optional() }).nullish(),
        csi: z
          .looseObject({
            driver: text,
            volumeHandle: text,
            fsType: text.optional(),
            volumeAttributes: z.record(text, text).nullish(),
          })
          .nullish(),
      })
      .nullish(),
  }),
  'apps/StatefulSet': z.looseObject({
    metadata: named,
    spec: z
      .looseObject({ replicas: count, volumeClaimTemplates: z.array(claimTemplate).nullish() })
      .nullish(),
  }),
  'postgresql.cnpg.io/Cluster': z.looseObject({
    metadata: named,
    spec: z.looseObject({ instances: count, storage: storage.nullish(), walStorage: storage.nullish() }),
  }),
  'elasticsearch.k8s.elastic.co/Elasticsearch': z.looseObject({
    metadata: named,
    spec: z
      .looseObject({
        nodeSets: z
          .array(z.looseObject({ name: text, count, volumeClaimTemplates: z.array(claimTemplate).nullish() }))
          .nullish(),
      })
      .nullish(),
  }),
  'monitoring.coreos.com/Prometheus': monitoring,
  'monitoring.coreos.com/Alertmanager': monitoring,
}

/** What is wrong with the fields of an object that recover reads, each at its place; empty where all is well. */
export function wrongFields(value: Record<string, unknown>, at: (path: PropertyKey[]) => string): Problem[] {
  const group = String(value.apiVersion).replace(/(?:^|\/)[^/]*$/, '')
  const shape = shapes[`${group}/${value.kind}`] ?? anything
  const checked = shape.safeParse(value)
  return checked.success ? [] : checked.error.issues.map(issue => problemOf(issue, at))
}
