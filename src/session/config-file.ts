/** The file that describes what a folder runs. */
export const CONFIG_FILE = 'helix.config.json';
