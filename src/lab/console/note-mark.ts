/** Lines that the init script and the agent print on the console for the host start with this. */
export const noteMark = 'hvipi-lab: ';
