// The one part of client-node that is used, by its name, so that a build can leave out all the rest: 14 MB.
export { KubeConfig } from '@kubernetes/client-node'
