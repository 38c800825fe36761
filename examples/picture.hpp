// The picture that `demo` leaves behind: a row per query, the query first and then its nearest pictures, framed green where the label agrees and red where not.
#pragma once

#include "fashion.hpp"
#include "font.hpp"
#include "png.hpp"
#include "table.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace examples {

struct PictureStyle {
  std::size_t scale = 4, frame = 4, gap = 22, margin = 28, head = 92, query_gap = 26;
  Color paper{250, 249, 246}, ink{38, 38, 42}, faint{132, 132, 138}, right{46, 139, 87}, wrong{205, 55, 50}, query{52, 92, 160};

  [[nodiscard]] std::size_t side() const { return picture_side * scale; }
  [[nodiscard]] std::size_t pitch_x() const { return side() + 2 * frame + gap; }
  [[nodiscard]] std::size_t pitch_y() const { return side() + 2 * frame + 36; }
};

/// Draws one grey picture, dark on light, enlarged with the pixels between interpolated.
inline void draw_picture(Canvas& canvas, std::size_t x, std::size_t y, std::span<const std::uint8_t> pixels, const PictureStyle& style, Color frame) {
  const std::size_t side = style.side();
  canvas.fill(x, y, side + 2 * style.frame, side + 2 * style.frame, frame);
  const auto sample = [&](double row, double column) {
    const auto clamp = [](double value) { return std::min(std::max(value, 0.0), static_cast<double>(picture_side - 1)); };
    const double r = clamp(row), c = clamp(column);
    const auto r0 = static_cast<std::size_t>(r), c0 = static_cast<std::size_t>(c);
    const std::size_t r1 = std::min(r0 + 1, picture_side - 1), c1 = std::min(c0 + 1, picture_side - 1);
    const double fr = r - static_cast<double>(r0), fc = c - static_cast<double>(c0);
    const auto at = [&](std::size_t i, std::size_t j) { return static_cast<double>(pixels[i * picture_side + j]); };
    return (at(r0, c0) * (1 - fc) + at(r0, c1) * fc) * (1 - fr) + (at(r1, c0) * (1 - fc) + at(r1, c1) * fc) * fr;
  };
  for (std::size_t row = 0; row < side; ++row)
    for (std::size_t column = 0; column < side; ++column) {
      const auto middle = [&](std::size_t i) { return (static_cast<double>(i) + 0.5) / static_cast<double>(style.scale) - 0.5; };
      const auto grey = static_cast<std::uint8_t>(std::lround(255 - sample(middle(row), middle(column))));
      canvas.set(x + style.frame + column, y + style.frame + row, {grey, grey, grey});
    }
}

/// The first `rows` queries with their answers.
[[nodiscard]] inline Canvas draw_answers(const Pictures& base, const Queries& queries, const Answers& answers, std::size_t rows) {
  const PictureStyle style;
  rows = std::min(rows, answers.size());
  const std::size_t columns = rows == 0 ? 0 : answers.front().size();
  const std::size_t box = style.side() + 2 * style.frame;
  Canvas canvas(2 * style.margin + style.query_gap + columns * style.pitch_x() + box, style.head + rows * style.pitch_y() + style.margin / 2, style.paper);

  const auto caption = [&](std::size_t x, std::size_t y, std::string_view text, Color color) {
    const std::size_t width = text_width(text, 2);
    draw_text(canvas, width < box ? x + (box - width) / 2 : x - (width - box) / 2, y + box + 7, text, color);
  };
  const std::size_t first_answer = style.margin + style.pitch_x() + style.query_gap;
  draw_text(canvas, style.margin, 22, "Fashion-MNIST: the " + std::to_string(columns) + " nearest of " + with_commas(base.rows) + " pictures, found exactly",
            style.ink, 3);
  draw_text(canvas, style.margin, 62, "query", style.query);
  draw_text(canvas, first_answer, 62, "nearest first:", style.faint);
  draw_text(canvas, first_answer + text_width("nearest first: ", 2) + 2, 62, "same label", style.right);
  draw_text(canvas, first_answer + text_width("nearest first: same label  ", 2) + 2, 62, "another label", style.wrong);

  for (std::size_t query = 0; query < rows; ++query) {
    const std::size_t y = style.head + query * style.pitch_y();
    draw_picture(canvas, style.margin, y, queries.pictures.row(query), style, style.query);
    caption(style.margin, y, queries.labels[query], style.query);
    for (std::size_t i = 0; i < columns; ++i) {
      const Answer& answer = answers[query][i];
      const Color color = answer.label == queries.labels[query] ? style.right : style.wrong;
      const std::size_t x = first_answer + i * style.pitch_x();
      draw_picture(canvas, x, y, base.row(answer.row), style, color);
      caption(x, y, answer.label, color);
    }
  }
  return canvas;
}

}  // namespace examples
