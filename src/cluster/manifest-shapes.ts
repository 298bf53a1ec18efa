import { z } from 'zod'
import { type Problem, problemOf } from './problem.ts'

const text = z.string()
// Kubernetes takes a field that is null for one that is not there; charts print many.
const optional = text.nullish()
/** Of a home: what is made for each of them is made in memory. */
const count = z.number().int().min(0).max(1000).nullish()
const size = z.union([z.string(), z.number()])
const named = z.looseObject({ name: text.min(1), namespace: optional })
const anything = z.looseObject({
  metadata: z.looseObject({ name: optional, namespace: optional }).nullish(),
})
const modes = z.array(text).nullish()
const claimSpec = z.looseObject({
  accessModes: modes,
  storageClassName: optional,
  volumeName: optional,
  resources: z.looseObject({ requests: z.looseObject({ storage: size.nullish() }).nullish() }).nullish(),
})
const claimTemplate = z.looseObject({
  metadata: z.looseObject({ name: optional }).nullish(),
  spec: claimSpec.nullish(),
})
const source = z.looseObject({
  repoURL: optional,
  path: optional,
  chart: optional,
  targetRevision: optional,
})
const applicationSpec = z.looseObject({
  project: optional,
  source: source.nullish(),
  sources: z.array(source).nullish(),
  destination: z.looseObject({ namespace: optional }).nullish(),
})
const storage = z.looseObject({
  size: size.nullish(),
  storageClass: optional,
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
              metadata: z.looseObject({ name: optional }).nullish(),
              spec: claimSpec.nullish(),
            })
            .nullish(),
        })
        .nullish(),
    })
    .nullish(),
})

const containers = z
  .array(
    z.looseObject({
      name: optional,
      image: optional,
      env: z
        .array(
          z.looseObject({
            name: text,
            value: optional,
            valueFrom: z
              .looseObject({ secretKeyRef: z.looseObject({ name: optional, key: text }).nullish() })
              .nullish(),
          }),
        )
        .nullish(),
      volumeMounts: z.array(z.looseObject({ name: text, subPath: optional })).nullish(),
    }),
  )
  .nullish()
const podSpec = z.looseObject({
  containers,
  initContainers: containers,
  volumes: z
    .array(
      z.looseObject({
        name: text,
        persistentVolumeClaim: z.looseObject({ claimName: text }).nullish(),
        secret: z.looseObject({ secretName: optional }).nullish(),
      }),
    )
    .nullish(),
})
/** Argo CD's hooks may have a name made anew at each sync. */
const namedOrGenerated = z
  .looseObject({ name: optional, generateName: optional, namespace: optional })
  .refine(({ name, generateName }) => name || generateName, {
    path: ['name'],
    message: 'expected a name, or a generateName',
  })
const podTemplate = z.looseObject({ spec: podSpec.nullish() })
const workload = z.looseObject({
  metadata: named,
  spec: z.looseObject({ template: podTemplate.nullish() }).nullish(),
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
        path: optional,
        targetNamespace: optional,
        dependsOn: z.array(z.looseObject({ name: text, namespace: optional })).nullish(),
        sourceRef: z.looseObject({ kind: optional, name: optional }).nullish(),
      })
      .nullish(),
  }),
  '/PersistentVolumeClaim': z.looseObject({ metadata: named, spec: claimSpec.nullish() }),
  '/PersistentVolume': z.looseObject({
    metadata: named,
    spec: z
      .looseObject({
        claimRef: z.looseObject({ namespace: optional, name: optional }).nullish(),
        csi: z
          .looseObject({
            driver: text,
            volumeHandle: text,
            fsType: optional,
            volumeAttributes: z.record(text, text).nullish(),
          })
          .nullish(),
      })
      .nullish(),
  }),
  'apps/StatefulSet': z.looseObject({
    metadata: named,
    spec: z
      .looseObject({
        replicas: count,
        template: podTemplate.nullish(),
        volumeClaimTemplates: z.array(claimTemplate).nullish(),
      })
      .nullish(),
  }),
  'apps/Deployment': workload,
  'apps/DaemonSet': workload,
  'batch/Job': workload.extend({ metadata: namedOrGenerated }),
  'batch/CronJob': z.looseObject({
    metadata: named,
    spec: z.looseObject({ jobTemplate: z.looseObject({ spec: workload.shape.spec }).nullish() }).nullish(),
  }),
  '/Pod': z.looseObject({ metadata: namedOrGenerated, spec: podSpec.nullish() }),
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
