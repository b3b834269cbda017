// Start a real Unleash: node unleash.js FOLDER, where npm has installed it.
const { start } = require(require.resolve('unleash-server', { paths: [process.argv[2]] }));

start({
    db: { connectionString: process.env.DATABASE_URL, ssl: false },
    server: { host: '127.0.0.1', port: Number(process.env.PORT) },
    authentication: { type: 'none' },
    versionCheck: { enable: false },
    telemetry: false,
}).catch((error) => {
    console.error(error);
    process.exit(1);
});
