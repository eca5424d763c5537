#include "arqon/report/style.h"

namespace arqon::report {

// Colours: Okabe and Ito's palette for colour-blind readers, darkened or lightened until each has a
// contrast of at least 3:1 against its page.
std::string_view style_sheet() {
  return R"css(
:root{color-scheme:light dark;--page:#fcfcfa;--ink:#1c2126;--soft:#59636d;--rule:#e2e5e7;--wash:#f2f4f4;
--own:#0a5ca8;--own-wash:#eaf2fa;--base:#7d868e;--gain:#00805d;--loss:#b8480a;--even:#59636d;
--c0:#0072b2;--c1:#c25100;--c2:#00896a;--c3:#a4508a;--c4:#8a6d00;--c5:#4b6b7c;
--applied:#0072b2;--confirmed:#00896a;--reverted:#c25100;--refused:#8a3f74}
@media screen and (prefers-color-scheme:dark){:root{--page:#14171a;--ink:#e4e7e9;--soft:#9ba5ad;
--rule:#2c3237;--wash:#1c2125;--own:#6cb6f5;--own-wash:#18283a;--base:#79838b;--gain:#3ecf9f;
--loss:#ff9455;--even:#9ba5ad;--c0:#56b4e9;--c1:#f2894a;--c2:#36c79b;--c3:#dd8fc1;--c4:#d8bd3c;
--c5:#9db8c7;--applied:#56b4e9;--confirmed:#36c79b;--reverted:#f2894a;--refused:#dd8fc1}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);
font:16px/1.55 -apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,system-ui,sans-serif}
main{max-width:1128px;margin:0 auto;padding:40px 24px 64px}
h1,h2,h3{line-height:1.2;margin:0;font-weight:650;letter-spacing:-.01em;overflow-wrap:anywhere}
h1{font-size:2rem}h2{font-size:1.3rem;margin-top:56px;padding-top:20px;border-top:1px solid var(--rule)}
h2+p{margin-top:6px}
p{margin:.6em 0;max-width:74ch;overflow-wrap:anywhere}
.eyebrow{color:var(--soft);font-size:.85rem;margin:0 0 6px}
.lead{font-size:1.06rem;color:var(--soft);margin-top:10px}
.note,figcaption .unit,footer{color:var(--soft);font-size:.875rem}
.verdict{margin:28px 0 0;padding:22px 26px 24px;background:var(--wash);border-left:5px solid var(--even);border-radius:3px}
.verdict.gain{border-color:var(--gain)}.verdict.loss{border-color:var(--loss)}
.verdict .tone{font-weight:650;font-size:.9rem;color:var(--even);margin:0 0 4px}
.verdict.gain .tone{color:var(--gain)}.verdict.loss .tone{color:var(--loss)}
.headline{font-size:1.3rem;line-height:1.35;font-weight:600;margin:0;max-width:60ch;text-wrap:pretty}
.answers{display:grid;grid-template-columns:minmax(8rem,11rem) 1fr;gap:14px 28px;margin:24px 0 0}
.answers dt{font-weight:650}.answers dd{margin:0;min-width:0}
.answers p,.answers ul{margin:0 0 .5em}.answers ul{padding-left:1.1em}
.answers p:last-child,.answers ul:last-child{margin-bottom:0}
.answers li{margin-bottom:.35em;overflow-wrap:anywhere;max-width:74ch}
time{font-variant-numeric:tabular-nums;color:var(--soft);margin-right:.5em}
.scroll{overflow-x:auto;margin:16px 0 0}
table{border-collapse:collapse;font-size:.875rem;font-variant-numeric:tabular-nums;width:100%}
th,td{padding:7px 10px;text-align:right;border-bottom:1px solid var(--rule);vertical-align:top;white-space:nowrap}
thead th{color:var(--soft);font-weight:500;font-size:.8125rem;line-height:1.3;vertical-align:bottom;white-space:normal;min-width:5.4em;border-bottom-color:var(--soft)}
th:first-child,td:first-child{text-align:left;padding-left:8px}
tbody th{font-weight:500}
tr.own>*{background:var(--own-wash);font-weight:650}
td.none,.of{color:var(--soft)}
.decisions td{text-align:left}.decisions thead th{text-align:left}
.decisions td.text{white-space:normal;overflow-wrap:anywhere;min-width:11rem}
.decisions td.text:nth-child(5){min-width:17rem}
tr.quiet td{color:var(--soft)}
.tag{font-weight:600}
figure{margin:0}
.bars{margin-top:22px}.bars figcaption{font-weight:600;margin-bottom:8px}
.bar-rows{display:grid;grid-template-columns:max-content 1fr max-content;gap:5px 12px;align-items:center;font-size:.9rem}
.bar-name{text-align:right}.bar-name.own{font-weight:650}
.bar-track{position:relative;height:16px}
.bar{height:100%;background:var(--base);opacity:.55;min-width:2px;border-radius:0 2px 2px 0}
.bar.own{background:var(--own);opacity:1}
.seed{position:absolute;top:2px;bottom:2px;width:2px;background:var(--ink);opacity:.75}
.bar-value{font-variant-numeric:tabular-nums}
.panels{overflow-x:auto;margin-top:14px;position:relative}
.panel{min-width:760px;padding-top:18px}
.panel figcaption{display:flex;flex-wrap:wrap;gap:2px 10px;align-items:baseline;padding-left:8px;font-size:.95rem;width:max-content;max-width:min(100%,calc(100vw - 32px));position:sticky;left:0}
.keys{display:inline-flex;flex-wrap:wrap;gap:2px 16px;font-size:.85rem;margin-left:8px}
.key{display:inline-flex;align-items:baseline;gap:6px}
.swatch{display:inline-block;position:relative;top:-.32em;width:18px;height:0;border-top:2.5px solid var(--k,var(--ink))}
.swatch.block{top:1px;width:11px;height:11px;border:0;background:var(--k);border-radius:2px}
.swatch.limit{border-top:2px dashed var(--soft)}
.swatch.base{border-top:1.5px solid var(--base)}.swatch.yesterday{border-top-style:dashed}
.swatch.hindsight{border-top-style:dotted;border-top-width:2px}
.swatch.canary{border-top:1.5px dashed var(--own)}
.swatch.strong{border-top-color:var(--own)}
.c0{--k:var(--c0)}.c1{--k:var(--c1)}.c2{--k:var(--c2)}.c3{--k:var(--c3)}.c4{--k:var(--c4)}.c5{--k:var(--c5)}
svg{display:block;width:100%;height:auto;overflow:visible}
svg text{font:12px -apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,system-ui,sans-serif;fill:var(--soft);font-variant-numeric:tabular-nums}
text.end{text-anchor:end}text.mid{text-anchor:middle}
.grid{stroke:var(--rule)}.axis{stroke:var(--base)}
.shift{stroke:var(--soft);stroke-dasharray:2 4}
text.shift-text{fill:var(--ink);paint-order:stroke;stroke:var(--page);stroke-width:4px;stroke-linejoin:round}
polyline.line{fill:none;stroke:var(--k,var(--own));stroke-width:1.6;stroke-linejoin:round}
polyline.own,polyline.strong{stroke-width:2.2}
polyline.strong{stroke:var(--own)}polyline.fine{stroke-width:1.3}
polyline.limit{stroke-width:1.5;stroke-dasharray:6 4;opacity:.9}
polyline.base{stroke:var(--base);stroke-width:1.2;opacity:.9}
polyline.canary{stroke:var(--own);stroke-width:1.2;stroke-dasharray:2.5 2.5}
polyline.yesterday{stroke-dasharray:5 3}polyline.hindsight{stroke-dasharray:1.5 3.5;stroke-width:2}
.area{fill:var(--k);opacity:.42}
.level{stroke:var(--ink);stroke-dasharray:6 4;stroke-width:1.2}
text.level-text{fill:var(--ink);text-anchor:end;paint-order:stroke;stroke:var(--page);stroke-width:4px;stroke-linejoin:round}
.mark{stroke-width:1.5;stroke:var(--page)}
.mark.applied{fill:var(--applied)}.mark.confirmed{fill:var(--confirmed)}.mark.reverted{fill:var(--reverted)}
.mark.refused{fill:none;stroke:var(--refused);stroke-width:2}
.marks{display:flex;flex-wrap:wrap;gap:4px 22px;font-size:.875rem;margin:26px 0 0;padding-left:8px;max-width:min(100%,calc(100vw - 32px));width:max-content;position:sticky;left:0;color:var(--soft)}
svg.sample{width:16px;height:16px;flex:none;position:relative;top:3px}
.cross{stroke:var(--ink);stroke-width:1;opacity:.55;pointer-events:none}
.tip{position:absolute;pointer-events:none;background:var(--page);color:var(--ink);border:1px solid var(--soft);border-radius:4px;padding:5px 9px;font-size:.8125rem;line-height:1.45;white-space:nowrap;z-index:2;font-variant-numeric:tabular-nums}
.tip b{font-weight:650}
footer{margin-top:56px;padding-top:16px;border-top:1px solid var(--rule)}
@media(max-width:640px){main{padding:24px 16px 48px}h1{font-size:1.6rem}.verdict{padding:18px}
.headline{font-size:1.12rem}.answers{grid-template-columns:1fr;gap:4px}.answers dd{margin-bottom:14px}}
@media print{:root{--page:#fff}svg text{font-size:15px}body{font-size:10.5pt}main{max-width:none;padding:0}.panel{break-inside:avoid;min-width:0}
h2{break-after:avoid}tr{break-inside:avoid}.scroll,.panels{overflow:visible}
th,td{padding:3px 5px;white-space:normal}table{font-size:8pt}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
)css";
}

std::string_view script() {
  return R"js(
(function(){
const box=document.querySelector('.panels');if(!box)return;
const end=+box.dataset.end,left=68,right=1064,width=1080,ns='http://www.w3.org/2000/svg';
const tip=document.createElement('div');tip.className='tip';tip.hidden=true;box.append(tip);
const two=n=>String(n).padStart(2,'0');
const clock=s=>Math.floor(s/3600)+':'+two(Math.floor(s/60)%60)+':'+two(Math.floor(s)%60);
const write=(v,u)=>u==='percent'?(100*v).toFixed(2)+'%':u==='ms'?(v<1000?v.toPrecision(3)+' ms':(v/1000).toPrecision(3)+' s')
:u==='dollars'?'$'+v.toPrecision(3):u==='per_s'?v.toPrecision(3)+' /s':String(v);
const panels=[...box.querySelectorAll('figure.panel svg')].map(svg=>{
const cross=document.createElementNS(ns,'line');cross.setAttribute('class','cross');cross.setAttribute('y1',10);
cross.setAttribute('y2',svg.viewBox.baseVal.height-26);cross.style.display='none';svg.append(cross);
const lines=[...svg.querySelectorAll('polyline[data-n]')].map(l=>({name:l.dataset.n,unit:l.dataset.u,
steps:l.dataset.s==='1',xs:l.getAttribute('points').split(' ').map(p=>parseFloat(p)),
vs:l.dataset.v.split(' ').map(Number)}));return{svg,cross,lines}});
const at=(line,x)=>{const xs=line.xs;let i=xs.findIndex(v=>v>x);if(i<0)i=xs.length;
if(line.steps)return i>0?line.vs[i-1]:undefined;
let best=i;if(i>0&&(i===xs.length||x-xs[i-1]<xs[i]-x))best=i-1;
return Math.abs(xs[best]-x)<14?line.vs[best]:undefined};
const hide=()=>{tip.hidden=true;panels.forEach(p=>p.cross.style.display='none')};
panels.forEach(p=>{p.svg.addEventListener('pointermove',e=>{
const r=p.svg.getBoundingClientRect(),x=(e.clientX-r.left)/r.width*width;
if(x<left||x>right){hide();return}
panels.forEach(q=>{q.cross.style.display='';q.cross.setAttribute('x1',x);q.cross.setAttribute('x2',x)});
tip.replaceChildren();const head=document.createElement('b');head.textContent=clock((x-left)/(right-left)*end);tip.append(head);
const seen=new Set();p.lines.forEach(l=>{const v=at(l,x);if(v===undefined||seen.has(l.name))return;seen.add(l.name);
const row=document.createElement('div');row.textContent=l.name+'  '+write(v,l.unit);tip.append(row)});
tip.hidden=false;const b=box.getBoundingClientRect(),w=tip.offsetWidth;
let lx=e.clientX-b.left+box.scrollLeft+14;if(lx+w>box.scrollLeft+b.width)lx-=w+28;
tip.style.left=lx+'px';tip.style.top=(e.clientY-b.top+box.scrollTop+12)+'px'});
p.svg.addEventListener('pointerleave',hide)});
})();
)js";
}

}  // namespace arqon::report
