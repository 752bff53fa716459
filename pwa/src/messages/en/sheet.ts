/** The words of the sheets of a service and of a session. */
export { serviceSheet } from './serviceSheet'
export { sessionSheet } from './sessionSheet'
