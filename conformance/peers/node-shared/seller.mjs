// The routes every Express seller of this suite has; the same as ../python/server_fastapi.py.

export const PAID = ["GET /joke", "POST /echo", "GET /broken"];

/** Adds the handlers behind (and beside) the paywall, and listens. */
export function serve(app, express) {
  const runs = {};
  const count = (name) => (runs[name] = (runs[name] ?? 0) + 1);
  app.get("/joke", (_, res) => {
    count("joke");
    res.json({ joke: "A fare walks into a gate." });
  });
  app.post("/echo", express.text({ type: () => true }), (req, res) => {
    count("echo");
    res.json({ echo: req.body });
  });
  app.get("/broken", (_, res) => {
    count("broken");
    res.status(500).json({ error: "broken on purpose" });
  });
  app.get("/free", (_, res) => res.json({ free: true }));
  app.get("/runs", (_, res) => res.json(runs));
  app.get("/health", (_, res) => res.json({ ok: true }));
  app.listen(Number(process.env.PORT), "127.0.0.1");
}
