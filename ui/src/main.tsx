import "uplot/dist/uPlot.min.css";
import "./styles/base.css";
import "./styles/frame.css";
import "./styles/parts.css";
import "./styles/anomalies.css";
import { render } from "preact";
import { startLive } from "./api/live.ts";
import { App } from "./shell/app.tsx";

startLive();
render(<App />, document.getElementById("app")!);
