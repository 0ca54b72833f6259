import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["*.test.mjs"],
    testTimeout: 60000,
    reporters: ["json"],
    outputFile: { json: process.env.REPORT },
  },
});
