/** A text that is not YAML, in the words of the YAML library that Butane uses, without `yaml: ` before them. */
export class YamlFault extends Error {}
