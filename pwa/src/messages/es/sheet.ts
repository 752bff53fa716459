export { serviceSheet } from './serviceSheet'
export { sessionSheet } from './sessionSheet'
