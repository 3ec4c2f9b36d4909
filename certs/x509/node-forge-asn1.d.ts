/** Types of the one part of node-forge that is imported; the package's own types know only the whole. */
declare module 'node-forge/lib/asn1.js' {
  import { asn1 } from 'node-forge';

  export default asn1;
}
